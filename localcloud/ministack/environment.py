"""The settings that MiniStack reads from the environment, set while the cloud runs."""

import logging
import os
import secrets
import sys
import tempfile

from localcloud.errors import StartError
from localcloud.home.folder import Home
from localcloud.home.log_file import LogFile

REGION = "us-east-1"
ACCOUNT = "000000000000"


class Environment:
    """Process-wide settings: `enter` makes them, `leave` restores the previous ones.

    Attributes:
        home: The folder with the cloud's state.
        port: The port that the cloud is served on.
        root_key: Root's access key. It never leaves this process, since MiniStack does not check root's signatures.
        root_secret: Root's secret key.
    """

    def __init__(self, home: Home, port: int) -> None:
        self.home, self.port = home, port
        self.root_key = "LKIA" + secrets.token_hex(8).upper()
        self.root_secret = secrets.token_hex(20)
        self._previous: dict[str, str] | None = None

    def enter(self) -> None:
        """Set the variables, the folder for temporary files and the logging.

        Call this before MiniStack is imported: it reads some variables at its import and others later. All AWS_
        variables of the shell are removed, so that none of the user's credentials, profiles or endpoints reaches
        a function or a model.

        Raises:
            StartError: If MiniStack is already imported.
        """
        if "ministack.app" in sys.modules:
            raise StartError("MiniStack was imported before its environment was set; use a fresh process.")
        self._previous = dict(os.environ)
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(
            AWS_ACCESS_KEY_ID=self.root_key,
            AWS_SECRET_ACCESS_KEY=self.root_secret,
            AUTH="true",
            BIND_HOST="127.0.0.1",
            GATEWAY_PORT=str(self.port),
            IOT_MTLS_ENABLED="0",
            LAMBDA_EXECUTOR="local",
            LOG_LEVEL=os.environ.get("LOUPE_LOCAL_LOG_LEVEL", "WARNING"),
            MINISTACK_ACCOUNT_ID=ACCOUNT,
            MINISTACK_HOST="127.0.0.1",
            MINISTACK_REGION=REGION,
            PERSIST_STATE="1",
            S3_DATA_DIR=str(self.home.objects),
            S3_PERSIST="1",
            SFTP_ENABLED="0",
            STATE_DIR=str(self.home.state),
            TMPDIR=str(self.home.temporary),
        )
        tempfile.tempdir = str(self.home.temporary)
        self._log = LogFile(self.home.logs / "cloud.log", backups=2)
        self._log.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        # MiniStack logs to the terminal if the root logger has no handler at its import.
        logging.getLogger().addHandler(self._log)

    def leave(self) -> None:
        """Restore the variables, the folder for temporary files and the logging."""
        if self._previous is None:
            return
        os.environ.clear()
        os.environ.update(self._previous)
        self._previous = None
        tempfile.tempdir = None
        logging.getLogger().removeHandler(self._log)
        self._log.close()
