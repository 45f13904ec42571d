"""Pure pictures: a neutral graph or a boot record to text; nothing is read or written."""
