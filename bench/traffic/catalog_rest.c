/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the catalog: what fewer accounts have, or little of; last, the pattern for custom ones.
 *
 * Deliberately not all of AWS: what most accounts stream, and odd shapes that are real: slashes
 * in namespaces and ids, a colon in a dimension name, ARNs for ids.
 */
#include "catalog_rows.h"

static const struct weir_catalog_metric aws_logs_metrics[] = {
    B("IncomingBytes", BYTES, 1),  C("IncomingLogEvents", NONE, 1),
    B("ForwardedBytes", BYTES, 3), C("ForwardedLogEvents", NONE, 3),
    Q("DeliveryErrors", NONE, 3),  Q("DeliveryThrottling", NONE, 3)};
static const struct weir_catalog_metric aws_natgateway_metrics[] = {
    G("ActiveConnectionCount", COUNT, 1),      B("BytesInFromDestination", BYTES, 1),
    B("BytesInFromSource", BYTES, 1),          B("BytesOutToDestination", BYTES, 1),
    B("BytesOutToSource", BYTES, 1),           C("ConnectionAttemptCount", COUNT, 1),
    C("ConnectionEstablishedCount", COUNT, 1), Q("ErrorPortAllocation", COUNT, 1),
    Q("IdleTimeoutCount", COUNT, 1),           Q("PacketsDropCount", COUNT, 1),
    G("PacketsInFromSource", COUNT, 1),        G("PeakPacketsPerSecond", COUNT, 1),
    B("PeakBytesPerSecond", BYTES, 1)};
static const struct weir_catalog_metric aws_transitgateway_metrics[] = {
    B("BytesIn", BYTES, 2),
    B("BytesOut", BYTES, 2),
    G("PacketsIn", COUNT, 2),
    G("PacketsOut", COUNT, 2),
    Q("PacketDropCountBlackhole", COUNT, 1),
    Q("PacketDropCountNoRoute", COUNT, 1),
    Q("BytesDropCountNoRoute", BYTES, 1)};
static const struct weir_catalog_metric aws_vpn_metrics[] = {
    L("TunnelState", NONE, 2), B("TunnelDataIn", BYTES, 2), B("TunnelDataOut", BYTES, 2)};
static const struct weir_catalog_metric aws_dx_metrics[] = {
    L("ConnectionState", NONE, 1),
    P("ConnectionBpsEgress", BITS_SECOND, 1),
    P("ConnectionBpsIngress", BITS_SECOND, 1),
    P("ConnectionPpsEgress", COUNT_SECOND, 1),
    P("ConnectionPpsIngress", COUNT_SECOND, 1),
    P("ConnectionLightLevelTx", NONE, 2),
    P("ConnectionLightLevelRx", NONE, 2),
    Q("ConnectionErrorCount", COUNT, 1)};
static const struct weir_catalog_metric aws_route53_metrics[] = {
    L("HealthCheckStatus", NONE, 1),
    P("HealthCheckPercentageHealthy", PERCENT, 1),
    T("ConnectionTime", MILLISECONDS, 2),
    T("SSLHandshakeTime", MILLISECONDS, 2),
    T("TimeToFirstByte", MILLISECONDS, 2),
    L("ChildHealthCheckHealthyCount", COUNT, 1),
    C("DNSQueries", COUNT, 1)};
static const struct weir_catalog_metric aws_wafv2_metrics[] = {
    C("AllowedRequests", COUNT, 3), Q("BlockedRequests", COUNT, 3),
    Q("CountedRequests", COUNT, 3), C("PassedRequests", COUNT, 3),
    Q("CaptchaRequests", COUNT, 3), Q("ChallengeRequests", COUNT, 2)};
static const struct weir_catalog_metric aws_redshift_metrics[] = {
    P("CPUUtilization", PERCENT, 2),
    G("DatabaseConnections", COUNT, 1),
    L("HealthStatus", COUNT, 1),
    Q("MaintenanceMode", COUNT, 1),
    P("NetworkReceiveThroughput", BYTES_SECOND, 2),
    P("NetworkTransmitThroughput", BYTES_SECOND, 2),
    P("PercentageDiskSpaceUsed", PERCENT, 2),
    P("ReadIOPS", COUNT_SECOND, 2),
    P("WriteIOPS", COUNT_SECOND, 2),
    T("ReadLatency", SECONDS, 2),
    T("WriteLatency", SECONDS, 2),
    P("QueriesCompletedPerSecond", COUNT_SECOND, 3),
    T("QueryDuration", MICROSECONDS, 3),
    L("TotalTableCount", COUNT, 1)};
static const struct weir_catalog_metric aws_efs_metrics[] = {
    B("BurstCreditBalance", BYTES, 1), G("ClientConnections", COUNT, 1),
    B("DataReadIOBytes", BYTES, 1),    B("DataWriteIOBytes", BYTES, 1),
    B("MetadataIOBytes", BYTES, 1),    B("TotalIOBytes", BYTES, 1),
    P("PercentIOLimit", PERCENT, 1),   L("PermittedThroughput", BYTES_SECOND, 1),
    B("StorageBytes", BYTES, 2),       G("TimeSinceLastSync", SECONDS, 1)};
static const struct weir_catalog_metric aws_fsx_metrics[] = {
    B("DataReadBytes", BYTES, 1),
    B("DataWriteBytes", BYTES, 1),
    G("DataReadOperations", COUNT, 1),
    G("DataWriteOperations", COUNT, 1),
    G("MetadataOperations", COUNT, 1),
    B("FreeStorageCapacity", BYTES, 1),
    B("StorageUsed", BYTES, 2),
    P("NetworkThroughputUtilization", PERCENT, 1),
    P("FileServerDiskIopsUtilization", PERCENT, 1)};
static const struct weir_catalog_metric aws_ses_metrics[] = {
    C("Send", COUNT, 1),
    C("Delivery", COUNT, 1),
    Q("Bounce", COUNT, 1),
    Q("Complaint", COUNT, 1),
    Q("Reject", COUNT, 1),
    C("Open", COUNT, 1),
    Q("Click", COUNT, 1),
    P("Reputation.BounceRate", NONE, 1),
    P("Reputation.ComplaintRate", NONE, 1)};
static const struct weir_catalog_metric aws_usage_metrics[] = {
    C("CallCount", NONE, 3), L("ResourceCount", NONE, 3), Q("ThrottleCount", NONE, 3)};
static const struct weir_catalog_metric aws_cloudwatch_metricstreams_metrics[] = {
    C("MetricUpdate", COUNT, 1), C("TotalMetricUpdate", COUNT, 1), Q("PublishErrorRate", NONE, 1)};
static const struct weir_catalog_metric aws_autoscaling_metrics[] = {
    L("GroupDesiredCapacity", NONE, 1),
    L("GroupInServiceInstances", NONE, 1),
    L("GroupMaxSize", NONE, 1),
    L("GroupMinSize", NONE, 1),
    Q("GroupPendingInstances", NONE, 1),
    Q("GroupStandbyInstances", NONE, 1),
    Q("GroupTerminatingInstances", NONE, 1),
    L("GroupTotalInstances", NONE, 1),
    Q("WarmPoolWarmedCapacity", NONE, 1),
    P("PredictiveScalingCapacityForecast", NONE, 1)};
static const struct weir_catalog_metric aws_bedrock_metrics[] = {
    C("Invocations", COUNT, 1),
    S("InvocationLatency", MILLISECONDS, 1),
    Q("InvocationClientErrors", COUNT, 1),
    Q("InvocationServerErrors", COUNT, 1),
    Q("InvocationThrottles", COUNT, 1),
    G("InputTokenCount", COUNT, 1),
    G("OutputTokenCount", COUNT, 1),
    X("TimeToFirstToken", MILLISECONDS, 1)};
static const struct weir_catalog_metric aws_amazonmq_metrics[] = {
    P("CpuUtilization", PERCENT, 1),
    P("HeapUsage", PERCENT, 1),
    G("MessageCount", COUNT, 3),
    G("MessageReadyCount", COUNT, 3),
    Q("MessageUnacknowledgedCount", COUNT, 3),
    L("ConsumerCount", COUNT, 2),
    L("ProducerCount", COUNT, 1),
    G("ConnectionCount", COUNT, 1),
    P("PublishRate", COUNT_SECOND, 2),
    P("AckRate", COUNT_SECOND, 2),
    B("NetworkIn", BYTES, 1),
    B("NetworkOut", BYTES, 1)};
static const struct weir_catalog_metric aws_docdb_metrics[] = {
    P("CPUUtilization", PERCENT, 2),
    G("DatabaseConnections", COUNT, 2),
    Q("DatabaseCursorsTimedOut", COUNT, 1),
    C("DocumentsInserted", COUNT, 2),
    C("DocumentsReturned", COUNT, 2),
    B("FreeableMemory", BYTES, 2),
    P("IndexBufferCacheHitRatio", PERCENT, 2),
    T("ReadLatency", SECONDS, 2),
    T("WriteLatency", SECONDS, 2),
    B("VolumeBytesUsed", BYTES, 1),
    C("OpcountersQuery", COUNT, 2),
    C("OpcountersUpdate", COUNT, 2),
    P("DBClusterReplicaLagMaximum", MILLISECONDS, 1)};
static const struct weir_catalog_metric aws_neptune_metrics[] = {
    P("CPUUtilization", PERCENT, 2),
    P("GremlinRequestsPerSec", COUNT_SECOND, 1),
    Q("SparqlRequestsPerSec", COUNT_SECOND, 1),
    Q("MainRequestQueuePendingRequests", COUNT, 1),
    P("TotalRequestsPerSec", COUNT_SECOND, 1),
    Q("TotalServerErrorsPerSec", COUNT_SECOND, 1),
    P("BufferCacheHitRatio", PERCENT, 1),
    G("VolumeReadIOPs", COUNT, 1),
    G("VolumeWriteIOPs", COUNT, 1)};
static const struct weir_catalog_metric aws_certificatemanager_metrics[] = {
    L("DaysToExpiry", NONE, 1)};
static const struct weir_catalog_metric aws_secretsmanager_metrics[] = {L("ResourceCount", NONE, 1),
                                                                        C("CallCount", NONE, 2)};
static const struct weir_catalog_metric aws_appsync_metrics[] = {
    Q("4XXError", COUNT, 1),          Q("5XXError", COUNT, 1),
    S("Latency", MILLISECONDS, 1),    C("Requests", NONE, 1),
    G("TokensConsumed", NONE, 1),     C("ConnectSuccess", COUNT, 1),
    G("ActiveConnections", COUNT, 1), B("PublishDataMessageSize", BYTES, 1)};
static const struct weir_catalog_metric custom_metrics[] = {S("RequestLatency", MILLISECONDS, 2),
                                                            C("RequestCount", COUNT, 2),
                                                            Q("ErrorCount", COUNT, 3),
                                                            G("QueueDepth", COUNT, 1),
                                                            B("PayloadSize", BYTES, 2),
                                                            P("CacheHitRatio", PERCENT, 2),
                                                            P("WorkersBusy", NONE, 1),
                                                            L("OpenConnections", COUNT, 3),
                                                            X("GcPause", MILLISECONDS, 2),
                                                            C("JobsProcessed", COUNT_SECOND, 1)};

const struct weir_catalog_namespace weir_catalog_rest[] = {
    NAMESPACE("AWS/Logs", "/aws/lambda/", aws_logs_metrics, KEY("LogGroupName"),
              KEY("DestinationType"), KEY("FilterName")),
    NAMESPACE("AWS/NATGateway", "nat-0", aws_natgateway_metrics, KEY("NatGatewayId")),
    NAMESPACE("AWS/TransitGateway", "tgw-0", aws_transitgateway_metrics, KEY("TransitGateway"),
              KEY("TransitGatewayAttachment")),
    NAMESPACE("AWS/VPN", "vpn-0", aws_vpn_metrics, KEY("VpnId"), KEY("TunnelIpAddress")),
    NAMESPACE("AWS/DX", "dxcon-", aws_dx_metrics, KEY("ConnectionId"), KEY("OpticalLaneNumber")),
    NAMESPACE("AWS/Route53", "hc-", aws_route53_metrics, KEY("HealthCheckId"), KEY("Region")),
    NAMESPACE("AWS/WAFV2", "acl-", aws_wafv2_metrics, KEY("WebACL"), KEY("Rule"), KEY("Region")),
    NAMESPACE("AWS/Redshift", "dw-", aws_redshift_metrics, KEY("ClusterIdentifier"), KEY("NodeID"),
              KEY("latency")),
    NAMESPACE("AWS/EFS", "fs-0", aws_efs_metrics, KEY("FileSystemId"), KEY("StorageClass")),
    NAMESPACE("AWS/FSx", "fs-0", aws_fsx_metrics, KEY("FileSystemId"), KEY("VolumeId")),
    NAMESPACE("AWS/SES", "config-", aws_ses_metrics, KEY("ses:configuration-set")),
    NAMESPACE("AWS/Usage", "quota-", aws_usage_metrics, KEY("Resource"), KEY("Service"),
              KEY("Type")),
    NAMESPACE("AWS/CloudWatch/MetricStreams", "stream-", aws_cloudwatch_metricstreams_metrics,
              KEY("MetricStreamName")),
    NAMESPACE("AWS/AutoScaling", "asg-web-", aws_autoscaling_metrics, KEY("AutoScalingGroupName")),
    NAMESPACE("AWS/Bedrock", "anthropic.profile-", aws_bedrock_metrics, KEY("ModelId")),
    NAMESPACE("AWS/AmazonMQ", "broker-", aws_amazonmq_metrics, KEY("Broker"), KEY("VirtualHost"),
              KEY("Queue")),
    NAMESPACE("AWS/DocDB", "docs-", aws_docdb_metrics, KEY("DBClusterIdentifier"), KEY("Role")),
    NAMESPACE("AWS/Neptune", "graph-", aws_neptune_metrics, KEY("DBClusterIdentifier"),
              KEY("Role")),
    NAMESPACE("AWS/CertificateManager", "arn:aws:acm:eu-central-1:123456789012:certificate/",
              aws_certificatemanager_metrics, KEY("CertificateArn")),
    NAMESPACE("AWS/SecretsManager", "secret-", aws_secretsmanager_metrics, KEY("SecretName"),
              KEY("Class")),
    NAMESPACE("AWS/AppSync", "graphql-", aws_appsync_metrics, KEY("GraphQLAPIId")),
    NAMESPACE("Custom/", "shop-", custom_metrics, KEY("Service"), KEY("Environment"),
              KEY("Version")),
};
const uint32_t weir_catalog_rest_count = sizeof(weir_catalog_rest) / sizeof(weir_catalog_rest[0]);
