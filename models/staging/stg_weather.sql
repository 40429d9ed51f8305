select
    origin,
    time_hour as observed_hour,
    cast(temp as {{ featurestore.type_double() }}) as temperature,
    cast(dewp as {{ featurestore.type_double() }}) as dew_point,
    cast(humid as {{ featurestore.type_double() }}) as humidity,
    wind_dir as wind_direction,
    -- One reading in the source says 1,048 miles an hour.
    cast(case when wind_speed < 200 then wind_speed end as {{ featurestore.type_double() }}) as wind_speed,
    cast(wind_gust as {{ featurestore.type_double() }}) as wind_gust,
    cast(precip as decimal(5, 2)) as precipitation,
    cast(pressure as decimal(6, 1)) as pressure,
    cast(visib as {{ featurestore.type_double() }}) as visibility
from {{ ref('weather') }}
