"""The AWS clients of the API, each made when a route first needs it."""

import functools

from inspection import clients

cloudwatch = functools.cache(clients.cloudwatch)
cognito = functools.cache(clients.cognito)
dynamodb = functools.cache(clients.dynamodb)
logs = functools.cache(clients.logs)
s3 = functools.cache(clients.s3)
sagemaker = functools.cache(clients.sagemaker)
ssm = functools.cache(clients.ssm)
states = functools.cache(clients.states)
