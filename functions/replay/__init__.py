"""Images that are judged again, by today's model and rules: a new version of each record, with the old one kept."""
