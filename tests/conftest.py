"""For all tests: AWS's service descriptions are parsed once in a process, not once for each session."""

import functools

import botocore.session

# A session has a loader of its own, which parses megabytes of JSON for each client; hundreds of tests make clients.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)
