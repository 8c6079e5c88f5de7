"""Reports for people: HTML pages (`page`), tables in a terminal (`tables`)."""
