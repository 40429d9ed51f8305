select 'S-1' as sensor, cast('2024-05-01 10:00:00' as timestamp) as read_at
