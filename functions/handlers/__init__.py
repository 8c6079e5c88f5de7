"""One module per Lambda function. Its handler unpacks the event, makes one call into the domain, and returns."""
