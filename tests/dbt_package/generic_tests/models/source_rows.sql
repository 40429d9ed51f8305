select * from (
    values
        ('S-1', cast('2024-05-01 10:00:00' as timestamp), cast('2024-05-01 10:05:00' as timestamp), 1),
        ('S-1', cast('2024-05-01 10:00:00' as timestamp), cast('2024-05-01 10:06:00' as timestamp), 2),
        ('S-2', cast('2024-05-01 11:00:00' as timestamp), cast('2024-05-01 11:05:00' as timestamp), 3),
        (null, cast('2024-05-01 11:00:00' as timestamp), cast('2024-05-01 11:05:00' as timestamp), 4),
        (null, cast('2024-05-01 11:00:00' as timestamp), cast('2024-05-01 11:05:00' as timestamp), 5),
        ('S-3', null, cast('2024-05-01 11:05:00' as timestamp), 6),
        ('S-3', null, cast('2024-05-01 11:05:00' as timestamp), 7)
) as rows_of (sensor, read_at, written_at, reading)
