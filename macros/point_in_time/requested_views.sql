{#- The references that are asked for, [{view, feature}], from a list of them or from the feature service of that name. -#}
{% macro _references(features, service) -%}
  {%- if (features is none) == (service is none) -%}
    {{ featurestore._refuse("Ask for either a service, like service='churn_model', or features, like features=['customer_orders:*'].") }}
  {%- endif -%}
  {%- set references = [] -%}
  {%- set listed = featurestore._features_of_service(service) if service is not none else ([features] if features is string else features) -%}
  {%- for text in listed -%}
    {%- set parts = (text | string | trim).split(':') -%}
    {%- if parts | length != 2 or '' in parts -%}
      {{ featurestore._refuse(
        "'" ~ text ~ "' is no feature reference. Write it like 'customer_orders:orders_7d' or 'customer_orders:*'."
      ) }}
    {%- endif -%}
    {%- do references.append({'view': parts[0], 'feature': parts[1]}) -%}
  {%- endfor -%}
  {%- if not references -%}
    {{ featurestore._refuse("No features were asked for. Name a service, or features like 'customer_orders:orders_7d'.") }}
  {%- endif -%}
  {{ return(references) }}
{%- endmacro %}


{#- What the exposure of that name lists under meta.feature_service. -#}
{% macro _features_of_service(service) -%}
  {%- set services = {} -%}
  {%- for exposure in (graph.exposures or {}).values() -%}
    {%- set said = ((exposure.get('config') or {}).get('meta') or exposure.get('meta') or {}).get('feature_service') -%}
    {%- if said -%}
      {%- do services.update({exposure.name: said}) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if service not in services -%}
    {{ featurestore._refuse(
      "There is no feature service '" ~ service ~ "', an exposure with meta.feature_service."
      ~ featurestore._did_you_mean(service, services.keys() | list)
    ) }}
  {%- endif -%}
  {{ return(services[service].get('features') or []) }}
{%- endmacro %}


{#-
  The feature views that the references name, in the order asked, each with the features asked for: what `_feature_view` gives, and
  `requested`. Fails where dbt does not know that this model reads one of them.
-#}
{% macro _requested_views(references, service) -%}
  {%- set nodes = featurestore._feature_view_nodes() -%}
  {%- set wanted = {} -%}
  {%- for reference in references -%}
    {%- if reference.view not in nodes -%}
      {{ featurestore._refuse(
        "There is no feature view '" ~ reference.view ~ "'." ~ featurestore._did_you_mean(reference.view, nodes.keys() | list)
      ) }}
    {%- endif -%}
    {%- set node = nodes[reference.view] -%}
    {%- do wanted.setdefault(node.unique_id, {'node': node, 'features': []}).features.append(reference.feature) -%}
  {%- endfor -%}
  {%- do featurestore._require_dependencies(wanted.values() | map(attribute='node') | list, service) -%}
  {%- set views = [] -%}
  {%- for part in wanted.values() -%}
    {%- set view = featurestore._feature_view(part.node) -%}
    {%- do view.update({'requested': featurestore._requested_features(view, part.features)}) -%}
    {%- do views.append(view) -%}
  {%- endfor -%}
  {{ return(views) }}
{%- endmacro %}


{#- The graph's entries of all feature views, by every name that a reference may use. -#}
{% macro _feature_view_nodes() -%}
  {%- set nodes, latest = {}, {} -%}
  {%- for node in graph.nodes.values() if node.resource_type in ('model', 'snapshot') -%}
    {%- set said = ((node.get('config') or {}).get('meta') or node.get('meta') or {}).get('feature_view') -%}
    {%- if said is not none and said is not undefined and said is not false -%}
      {%- do nodes.update({featurestore._view_name(node): node}) -%}
      {%- if node.get('version') is not none and node.version == node.get('latest_version') -%}
        {%- do latest.update({node.name: node}) -%}
      {%- endif -%}
    {%- endif -%}
  {%- endfor -%}
  {%- for name, node in latest.items() -%}
    {%- do nodes.setdefault(name, node) -%}
  {%- endfor -%}
  {{ return(nodes) }}
{%- endmacro %}


{#-
  dbt orders models before it reads exposures, so it cannot know from a service's name which models have to be built first. What it does
  not know is an error here, never a training set from stale tables; the error says what to paste.
-#}
{% macro _require_dependencies(nodes, service) -%}
  {%- set missing = [] -%}
  {%- for node in nodes if node.unique_id not in model.depends_on.nodes -%}
    {%- do missing.append('-- depends_on: {' ~ '{ ' ~ featurestore._ref_text(node) ~ ' }' ~ '}') -%}
  {%- endfor -%}
  {%- if missing -%}
    {{ featurestore._refuse(
      "dbt does not know that this model reads "
      ~ (missing | length) ~ (" feature view" if missing | length == 1 else " feature views")
      ~ (" of the service '" ~ service ~ "'" if service else "")
      ~ ": it orders models before it reads exposures. Write at the top of the model:\n\n" ~ missing | join('\n') ~ "\n"
    ) }}
  {%- endif -%}
{%- endmacro %}


{#- How this model would refer to another one. -#}
{% macro _ref_text(node) -%}
  {%- set package = "'" ~ node.package_name ~ "', " if node.package_name != model.package_name else '' -%}
  {%- set version = ", version='" ~ node.version ~ "'" if node.get('version') is not none else '' -%}
  {{ return('ref(' ~ package ~ "'" ~ node.name ~ "'" ~ version ~ ')') }}
{%- endmacro %}


{#- The features of a view that those names mean, `*` meaning all, each once, in the order asked. -#}
{% macro _requested_features(view, names) -%}
  {%- set chosen = {} -%}
  {%- for name in names -%}
    {%- if name == '*' -%}
      {%- for feature in view.features -%}
        {%- do chosen.setdefault(feature.name, feature) -%}
      {%- endfor -%}
      {%- if not view.features -%}
        {{ featurestore._refuse(
          "Which features '" ~ view.name ~ "' has is not known: declare its columns, or run `dbt build --select " ~ view.name ~ "` first."
        ) }}
      {%- endif -%}
    {%- else -%}
      {%- if name | lower in view.on_demand | map('lower') -%}
        {{ featurestore._refuse(
          "'" ~ view.name ~ ":" ~ name ~ "' is worked out on demand, and no macro can read its expression. Leave it out here, or make the"
          ~ " training set with `fsdbt train`, or with `get_historical_features(…).to_table(…)`."
        ) }}
      {%- endif -%}
      {%- set feature = featurestore._column_named(name, view.features) -%}
      {%- if not feature and view.columns_known -%}
        {{ featurestore._refuse(
          "Feature view '" ~ view.name ~ "' has no feature '" ~ name ~ "'."
          ~ featurestore._did_you_mean(name, view.features | map(attribute='name') | list)
        ) }}
      {%- endif -%}
      {%- set feature = feature or featurestore._believed_column(name) -%}
      {%- do chosen.setdefault(feature.name, feature) -%}
    {%- endif -%}
  {%- endfor -%}
  {{ return(chosen.values() | list) }}
{%- endmacro %}


{% macro _refuse(message) -%}
  {{ exceptions.raise_compiler_error('featurestore.point_in_time_join: ' ~ message) }}
{%- endmacro %}
