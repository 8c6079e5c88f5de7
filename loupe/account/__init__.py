"""The AWS account around the stack: from an empty account to the first verdict, and away again."""
