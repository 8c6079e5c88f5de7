"""A SageMaker job: its folders, its hyperparameters, and the base of the errors that end it."""
