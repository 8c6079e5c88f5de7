"""One module a Lambda function: unpack, one call into the domain, return."""
