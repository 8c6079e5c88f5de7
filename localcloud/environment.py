"""What MiniStack reads from the environment, set for as long as the cloud runs."""

import logging
import logging.handlers
import os
import secrets
import sys
import tempfile

from localcloud.errors import StartError
from localcloud.home import Home

REGION = "us-east-1"
ACCOUNT = "000000000000"


class Environment:
    """Process-wide settings: `enter` makes them, `leave` puts back what was there."""

    def __init__(self, home: Home, port: int) -> None:
        self.home, self.port = home, port
        # Root's key never leaves this process: MiniStack does not check root's signatures.
        self.root_key = "LKIA" + secrets.token_hex(8).upper()
        self.root_secret = secrets.token_hex(20)
        self._before: dict[str, str] | None = None

    def enter(self) -> None:
        """MiniStack reads some variables at its import, others later: call this before the import.

        Every AWS_ variable of the shell goes: no credentials, profile or endpoint of the user's may reach a
        function or a model.
        """
        if "ministack.app" in sys.modules:
            raise StartError("MiniStack was imported before its environment was set; use a fresh process.")
        self._before = dict(os.environ)
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
        self._log = logging.handlers.RotatingFileHandler(
            self.home.logs / "cloud.log", maxBytes=5_000_000, backupCount=2, delay=True
        )
        self._log.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        # MiniStack would log to the terminal if the root logger had no handler at its import.
        logging.getLogger().addHandler(self._log)

    def leave(self) -> None:
        """Put back the variables, the folder for temporary files and the logging."""
        if self._before is None:
            return
        os.environ.clear()
        os.environ.update(self._before)
        self._before = None
        tempfile.tempdir = None
        logging.getLogger().removeHandler(self._log)
        self._log.close()
