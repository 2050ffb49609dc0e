# The demo project on daphne. Build your own image the same way: install livereferrals, add your project.
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
WORKDIR /srv

# Dependencies change seldom: a layer of their own, made from what declares them.
COPY pyproject.toml README.md LICENSE ./
COPY livereferrals ./livereferrals
RUN pip install --disable-pip-version-check '.[demo,postgres,redis]'

COPY manage.py ./
COPY project ./project

RUN useradd --system --create-home --home-dir /var/lib/shop shop
USER shop
ENV DEMO_DIR=/var/lib/shop

EXPOSE 8000
# SIGTERM lets callbacks in flight end.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=5 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz?ready', timeout=2)"]
CMD ["daphne", "--bind", "0.0.0.0", "--port", "8000", "project.asgi:application"]
