"""What a clinic and one phone text each other, as one thread that people read and answer."""
