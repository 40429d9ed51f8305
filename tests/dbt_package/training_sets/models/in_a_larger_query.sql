with training as (

    {{ featurestore.point_in_time_join(
        spine=ref('labels_of_the_day'), features='customer_orders:*', event_timestamp='asked_at'
    ) }}

)

select training.*, coalesce(orders_7d, 0) as orders
from training
where churned
