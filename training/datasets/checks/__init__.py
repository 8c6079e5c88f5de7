"""Finds what a person should know about a data set, and repairs what needs no decision."""
