"""Pictures: from files and archives to the crops a training step sees."""
