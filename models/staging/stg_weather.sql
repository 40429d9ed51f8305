select
    origin,
    time_hour as observed_hour,
    cast(temp as double precision) as temperature,
    cast(dewp as double precision) as dew_point,
    cast(humid as double precision) as humidity,
    wind_dir as wind_direction,
    -- One reading in the source says 1,048 miles an hour.
    cast(case when wind_speed < 200 then wind_speed end as double precision) as wind_speed,
    cast(wind_gust as double precision) as wind_gust,
    cast(precip as decimal(5, 2)) as precipitation,
    cast(pressure as decimal(6, 1)) as pressure,
    cast(visib as double precision) as visibility
from {{ ref('weather') }}
