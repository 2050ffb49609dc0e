# The demo project on uvicorn. Build your own image the same way: install livereferrals, add your project.
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
WORKDIR /srv

# Dependencies change seldom: a layer of their own, made from what declares them.
COPY pyproject.toml README.md LICENSE ./
COPY livereferrals ./livereferrals
RUN pip install --disable-pip-version-check '.[demo,metrics,postgres,redis]' 'uvicorn[standard]>=0.54,<1'

COPY manage.py ./
COPY project ./project

# Nothing runs as root, and what runs can write to its own two directories alone.
RUN useradd --system --create-home --home-dir /var/lib/shop shop && install --directory --owner=shop /srv/static
USER shop
ENV DEMO_DIR=/var/lib/shop

EXPOSE 8000
# SIGTERM lets readers of the feed part, and callbacks in flight end.
STOPSIGNAL SIGTERM
# Answered before Django looks at the host's name, by no more than a look at the database.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=5 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz?ready', timeout=2)"]

# As many processes as processors; WEB_CONCURRENCY is uvicorn's own. The settings read X-Forwarded-..., so uvicorn need not.
ENV WEB_CONCURRENCY=2
CMD ["uvicorn", "project.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--no-proxy-headers", \
     "--no-access-log", "--ws-per-message-deflate", "false"]
