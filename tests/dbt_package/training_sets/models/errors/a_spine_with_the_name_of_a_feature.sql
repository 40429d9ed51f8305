{{ featurestore.point_in_time_join(spine=ref('by_the_hour'), features=['customer_orders:orders_7d']) }}
