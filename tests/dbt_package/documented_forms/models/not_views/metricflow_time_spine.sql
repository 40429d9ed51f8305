select cast('2024-05-01' as date) as date_day
