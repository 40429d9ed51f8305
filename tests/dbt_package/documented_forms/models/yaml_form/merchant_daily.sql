select
    cast(7 as bigint) as merchant_id,
    cast('2024-05-01' as date) as sold_on,
    cast(40 as integer) as sales,
    cast(812.00 as decimal(18, 2)) as turnover
