{{ featurestore.point_in_time_join(spine=ref('labels'), features=['no_such_function:*']) }}
