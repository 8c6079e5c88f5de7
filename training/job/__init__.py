"""The container contract of a SageMaker job, and the base of the errors that end one."""
