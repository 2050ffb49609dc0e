"""The ASGI front: links are answered here, before Django's request stack, exactly as view and middleware would.

What it takes is what it can judge alone: a GET of a browser that is not logged in. Everything else goes to Django
untouched. The host's own middleware is not run for what it answers; what Django's own middleware would have said is
repeated (`terms`), so that an answer is the same with the front and without.
"""
