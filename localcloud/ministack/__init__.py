"""What is changed in MiniStack, the emulator of all AWS services here but SageMaker."""
