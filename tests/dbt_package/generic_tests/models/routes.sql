select * from (
    values
        ('ab', 'c', cast('2024-05-01' as date)),
        ('a', 'bc', cast('2024-05-01' as date)),
        ('a', 'b', cast('2024-05-01' as date)),
        ('a', 'b', cast('2024-05-02' as date))
) as rows_of (origin, destination, driven_on)
