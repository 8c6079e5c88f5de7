"""Images that have no record: found by comparing the bucket with the table, and announced again."""
