"""A tool that costs next to nothing, made with the SDK."""

from anyclaw_sdk.tool import run_tools, tool


@tool(description="Add two numbers", read_only=True)
async def add(a: int, b: int) -> str:
    return str(a + b)


if __name__ == "__main__":
    run_tools(add)
