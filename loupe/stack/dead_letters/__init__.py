"""What failed too often: dead images, and batches of the records' stream that a function could not process."""
