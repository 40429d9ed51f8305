{{ featurestore.point_in_time_join(spine=ref('untyped_labels'), features=['customer_orders:*']) }}
