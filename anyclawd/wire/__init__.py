"""The protocols without input or output: lines, JSON-RPC, and what each kind of unit says."""
