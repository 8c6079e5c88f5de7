"""Where the bytes of a data set are: a folder, a zip, S3, a RecordIO file, or a place that a URI names."""
