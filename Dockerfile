# One image for every process; docker-compose.yml says which one a container runs.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 VOXANNE_DATA_DIR=/data
WORKDIR /app

COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements.txt

COPY manage.py ./
COPY voxanne voxanne
COPY bookings bookings
COPY messaging messaging
COPY monitoring monitoring
COPY telephony telephony

RUN useradd --create-home --uid 10001 voxanne \
    && install -d -o voxanne -g voxanne /data /data/without-database \
    && su voxanne -c "python manage.py collectstatic --noinput"
USER voxanne
VOLUME /data
EXPOSE 8000 8001

CMD ["python", "-m", "granian", "--interface", "wsgi", "--no-ws", "--host", "0.0.0.0", "--port", "8000", \
     "--workers", "2", "--blocking-threads", "3", "--blocking-threads-idle-timeout", "600", \
     "--respawn-failed-workers", "--workers-kill-timeout", "15", "voxanne.wsgi:application"]
