"""What happens on the lines, in numbers and as a feed: the statistics table, written from the records' stream."""
