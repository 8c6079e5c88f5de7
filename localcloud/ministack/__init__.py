"""What is changed in MiniStack, the emulator that plays AWS here."""
