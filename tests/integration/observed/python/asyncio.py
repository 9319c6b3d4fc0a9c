import asyncio
async def f():
    await asyncio.sleep(0.01)
    raise KeyError('x')
asyncio.run(f())
