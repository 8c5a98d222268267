"""Problems and statements that checks are tried on: bounds, witnesses, falsehoods, truths."""
