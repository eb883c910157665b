"""The steps of reading text: finding lines, cutting them out, letters, their order."""
