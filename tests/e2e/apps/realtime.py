"""An app that knows nothing of the gateway: a realtime conversation with the official SDK, told in one JSON line."""

import asyncio
import json
import sys

import openai


async def main() -> None:
    """Say one thing, and hear the answer."""
    text, kinds = "", []
    async with openai.AsyncOpenAI(api_key=sys.argv[1]).realtime.connect(model="gpt-realtime") as session:
        said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": sys.argv[2]}]}
        await session.conversation.item.create(item=said)  # type: ignore[arg-type]
        await session.response.create()
        async for event in session:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.done":
                break
    print(json.dumps({"text": text, "kinds": kinds}))


asyncio.run(main())
