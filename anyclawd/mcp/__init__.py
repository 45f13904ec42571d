"""The MCP server that agents reach their tools by; what answers is behind `seam.Host`."""
