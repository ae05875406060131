/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import java.util.ArrayList;
import java.util.List;
import org.apache.nifi.components.AllowableValue;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.components.Validator;
import org.apache.nifi.expression.ExpressionLanguageScope;

/** Properties of {@link ConsumeKinesis}: names, values and meanings are those of Apache NiFi's own processor. */
final class KinesisProperties {

    static final AllowableValue SHARED_THROUGHPUT = new AllowableValue(
            "SHARED_THROUGHPUT",
            "Shared Throughput",
            "Polls with GetRecords: 2 MB/s and five calls a second for each shard, shared by all readers of the stream");
    static final AllowableValue ENHANCED_FAN_OUT = new AllowableValue(
            "ENHANCED_FAN_OUT",
            "Enhanced Fan-Out",
            "Subscribes with SubscribeToShard: 2 MB/s for each shard for this application alone");

    static final AllowableValue FLOW_FILE = new AllowableValue(
            "FLOW_FILE", "FLOW_FILE", "Every record becomes a FlowFile of its own, whatever its bytes are");
    static final AllowableValue LINE_DELIMITED = new AllowableValue(
            "LINE_DELIMITED",
            "LINE_DELIMITED",
            "Many records of one shard make one FlowFile, with a line feed between two, whatever their bytes are");
    static final AllowableValue RECORD = new AllowableValue(
            "RECORD",
            "RECORD",
            "Every record is one JSON object and becomes one line; many lines of one shard make one FlowFile. What is"
                    + " not exactly one JSON object goes to parse-failure. Needs no reader or writer services.");
    static final AllowableValue DEMARCATOR = new AllowableValue(
            "DEMARCATOR",
            "DEMARCATOR",
            "Many records of one shard make one FlowFile, with Message Demarcator between two, whatever their bytes"
                    + " are");

    static final AllowableValue USE_VALUE =
            new AllowableValue("USE_VALUE", "Use Content as Value", "The line is the record's JSON object alone");
    static final AllowableValue USE_WRAPPER = new AllowableValue(
            "USE_WRAPPER", "Use Wrapper", "The line is an object with the fields 'kinesisMetadata' and 'value'");
    static final AllowableValue INJECT_METADATA = new AllowableValue(
            "INJECT_METADATA",
            "Inject Metadata",
            "The line is the record's JSON object with the field 'kinesisMetadata' appended");

    static final AllowableValue ISO_8601 =
            new AllowableValue("ISO_8601", "ISO 8601", "Text such as 2025-11-05T09:12:15.300, in UTC");
    static final AllowableValue EPOCH_MILLIS =
            new AllowableValue("EPOCH_MILLIS", "Epoch Milliseconds", "Number of milliseconds since 1970");

    static final AllowableValue TRIM_HORIZON =
            new AllowableValue("TRIM_HORIZON", "Trim Horizon", "The oldest record that the stream still holds");
    static final AllowableValue LATEST = new AllowableValue(
            "LATEST", "Latest", "The first record after the very first start of the application name");
    static final AllowableValue AT_TIMESTAMP = new AllowableValue(
            "AT_TIMESTAMP", "At Timestamp", "The first record at or after Stream Position Timestamp");

    static final AllowableValue CBOR = new AllowableValue(
            "CBOR",
            "CBOR",
            "Binary, as AWS's SDK for Java does it: payloads are not encoded, which saves most of the work");
    static final AllowableValue JSON = new AllowableValue("JSON", "JSON", "Text, with payloads in Base64");
    static final AllowableValue PARENTS_FIRST =
            new AllowableValue("PARENTS_FIRST", "Parents First", "Children wait; order is kept across a reshard");
    static final AllowableValue ANY_ORDER =
            new AllowableValue("ANY", "Any", "Children are read at once, also while a parent has a backlog");

    static final PropertyDescriptor STREAM_NAME = new PropertyDescriptor.Builder()
            .name("Stream Name")
            .description("Name of the Kinesis data stream to read.")
            .required(true)
            .addValidator(Validators.NON_BLANK)
            .build();

    static final PropertyDescriptor APPLICATION_NAME = new PropertyDescriptor.Builder()
            .name("Application Name")
            .description(
                    "Name of the DynamoDB table that keeps leases and progress; it is created when it does not exist."
                            + " Also the name of the registered consumer when Consumer Type is Enhanced Fan-Out.")
            .required(true)
            .addValidator(Validators.NON_BLANK)
            .build();

    static final PropertyDescriptor REGION = new PropertyDescriptor.Builder()
            .name("Region")
            .description(
                    "AWS region of the stream and of the table, such as us-west-2, ap-southeast-1 or eu-west-1. It has no"
                            + " default, unlike in Apache NiFi: an empty parameter would silently mean another region.")
            .required(true)
            .expressionLanguageSupported(ExpressionLanguageScope.ENVIRONMENT)
            .addValidator(Validators.REGION_ID)
            .build();

    static final PropertyDescriptor ACCESS_KEY_ID = new PropertyDescriptor.Builder()
            .name("AWS Access Key ID")
            .description(
                    "Access key for Kinesis and DynamoDB. Without it, and without an AWS Credentials Provider Service, the"
                            + " AWS default credentials chain of the machine is used: environment, profile, web identity, container,"
                            + " instance.")
            .sensitive(true)
            .addValidator(Validators.OPTIONAL_TEXT)
            .build();

    static final PropertyDescriptor SECRET_ACCESS_KEY = new PropertyDescriptor.Builder()
            .name("AWS Secret Access Key")
            .description("Secret that belongs to AWS Access Key ID.")
            .sensitive(true)
            .addValidator(Validators.OPTIONAL_TEXT)
            .build();

    static final PropertyDescriptor SESSION_TOKEN = new PropertyDescriptor.Builder()
            .name("AWS Session Token")
            .description(
                    "Token that belongs to temporary keys. They end without a successor: for lasting work use an AWS"
                            + " Credentials Provider Service, a role or the identity of the machine.")
            .sensitive(true)
            .addValidator(Validators.OPTIONAL_TEXT)
            .build();

    static final PropertyDescriptor ROLE_ARN = new PropertyDescriptor.Builder()
            .name("Assume Role ARN")
            .description(
                    "Role that is assumed with the credentials, such as arn:aws:iam::123456789012:role/NAME, for instance in"
                            + " another account. Its own credentials are renewed before they expire.")
            .expressionLanguageSupported(ExpressionLanguageScope.ENVIRONMENT)
            .addValidator(Validators.OPTIONAL_ROLE_ARN)
            .build();

    static final PropertyDescriptor ROLE_SESSION_NAME = new PropertyDescriptor.Builder()
            .name("Assume Role Session Name")
            .description("Name of the session in the audit logs of AWS; Shardflow when not set.")
            .addValidator(Validators.OPTIONAL_TEXT)
            .dependsOn(ROLE_ARN)
            .build();

    static final PropertyDescriptor ROLE_EXTERNAL_ID = new PropertyDescriptor.Builder()
            .name("Assume Role External ID")
            .description("External id that the trust policy of the role demands.")
            .addValidator(Validators.OPTIONAL_TEXT)
            .dependsOn(ROLE_ARN)
            .build();

    static final PropertyDescriptor ROLE_STS_ENDPOINT = new PropertyDescriptor.Builder()
            .name("Assume Role STS Endpoint Override")
            .description("Address used for AWS STS instead of the region's, for private networks and tests.")
            .addValidator(Validators.OPTIONAL_URL)
            .dependsOn(ROLE_ARN)
            .build();

    static final PropertyDescriptor CONSUMER_TYPE = new PropertyDescriptor.Builder()
            .name("Consumer Type")
            .description("How records are read from the stream.")
            .required(true)
            .allowableValues(SHARED_THROUGHPUT, ENHANCED_FAN_OUT)
            .defaultValue(SHARED_THROUGHPUT)
            .build();

    static final PropertyDescriptor PROCESSING_STRATEGY = new PropertyDescriptor.Builder()
            .name("Processing Strategy")
            .description(
                    "How records become FlowFiles. Records that the Kinesis Producer Library aggregated are taken apart"
                            + " first. The default differs from Apache NiFi's FLOW_FILE.")
            .required(true)
            .allowableValues(FLOW_FILE, LINE_DELIMITED, RECORD, DEMARCATOR)
            .defaultValue(RECORD)
            .build();

    static final PropertyDescriptor OUTPUT_STRATEGY = new PropertyDescriptor.Builder()
            .name("Output Strategy")
            .description("How a line is made from a record and its metadata.")
            .required(true)
            .allowableValues(USE_VALUE, USE_WRAPPER, INJECT_METADATA)
            .defaultValue(INJECT_METADATA)
            .dependsOn(PROCESSING_STRATEGY, RECORD)
            .build();

    static final PropertyDescriptor ARRIVAL_FORMAT = new PropertyDescriptor.Builder()
            .name("Approximate Arrival Format")
            .description("Form of the metadata field 'approximateArrival'.")
            .required(true)
            .allowableValues(ISO_8601, EPOCH_MILLIS)
            .defaultValue(ISO_8601)
            .dependsOn(OUTPUT_STRATEGY, USE_WRAPPER, INJECT_METADATA)
            .build();

    static final PropertyDescriptor MESSAGE_DEMARCATOR = new PropertyDescriptor.Builder()
            .name("Message Demarcator")
            .description(
                    "Text in UTF-8 that stands between two records of a FlowFile. Taken as it is, white space included.")
            .required(true)
            .addValidator(Validator.VALID)
            .dependsOn(PROCESSING_STRATEGY, DEMARCATOR)
            .build();

    static final PropertyDescriptor INITIAL_POSITION = new PropertyDescriptor.Builder()
            .name("Initial Stream Position")
            .description(
                    "Where reading begins. It counts only at the first start of an application name: what was decided"
                            + " then is kept in the table.")
            .required(true)
            .allowableValues(TRIM_HORIZON, LATEST, AT_TIMESTAMP)
            .defaultValue(TRIM_HORIZON)
            .build();

    static final PropertyDescriptor POSITION_TIMESTAMP = new PropertyDescriptor.Builder()
            .name("Stream Position Timestamp")
            .description("Time in ISO 8601 with a zone, such as 2026-01-31T12:00:00Z.")
            .required(true)
            .addValidator(Validators.TIMESTAMP)
            .dependsOn(INITIAL_POSITION, AT_TIMESTAMP)
            .build();

    static final PropertyDescriptor MAX_RECORDS = new PropertyDescriptor.Builder()
            .name("Max Records Per Request")
            .description(
                    "Most records that one GetRecords call may return, at most 10000. The default is above Apache NiFi's"
                            + " 100, with which five calls a second cannot reach the rate of a shard.")
            .required(true)
            .addValidator(Validators.number(1, 10_000))
            .defaultValue("1000")
            .dependsOn(CONSUMER_TYPE, SHARED_THROUGHPUT)
            .build();

    static final PropertyDescriptor MAX_BATCH_DURATION = new PropertyDescriptor.Builder()
            .name("Max Batch Duration")
            .description(
                    "Longest time that a record waits for others of its shard before they become a FlowFile; less where"
                            + " few shards are active. With so many active shards that more than 200 FlowFiles a second"
                            + " would come of it, records wait longer. The default is below Apache NiFi's 5 sec.")
            .required(true)
            .addValidator(Validators.duration(1, 3_600_000))
            .defaultValue("250 ms")
            .build();

    static final PropertyDescriptor MAX_BATCH_SIZE = new PropertyDescriptor.Builder()
            .name("Max Batch Size")
            .description("Size of content at which records of a shard become a FlowFile at once.")
            .required(true)
            .addValidator(Validators.size(1, 1L << 30))
            .defaultValue("10 MB")
            .build();

    static final PropertyDescriptor MEMORY_BUDGET = new PropertyDescriptor.Builder()
            .name("Memory Budget")
            .description(
                    "Most bytes of fetched records held outside the Java heap until they are FlowFiles. Reading pauses"
                            + " when it is used up; leases are kept.")
            .required(true)
            .addValidator(Validators.size(1L << 20, 1L << 40))
            .defaultValue("64 MB")
            .build();

    static final PropertyDescriptor SHARD_ORDER = new PropertyDescriptor.Builder()
            .name("Shard Order")
            .description(
                    "Whether the shards that a split or a merge made wait until the shards they came from are read to"
                            + " their ends. Only then are the records of a partition key in order across a reshard.")
            .required(true)
            .allowableValues(PARENTS_FIRST, ANY_ORDER)
            .defaultValue(PARENTS_FIRST)
            .build();

    static final PropertyDescriptor WIRE_FORMAT = new PropertyDescriptor.Builder()
            .name("Wire Format")
            .description("How records travel from Kinesis. JSON is for endpoints that do not speak CBOR.")
            .required(true)
            .allowableValues(CBOR, JSON)
            .defaultValue(CBOR)
            .build();

    static final PropertyDescriptor ENDPOINT = new PropertyDescriptor.Builder()
            .name("Endpoint Override URL")
            .description("Address used for Kinesis and DynamoDB instead of AWS's own, for private networks and tests.")
            .addValidator(Validators.OPTIONAL_URL)
            .build();

    static final List<PropertyDescriptor> ALL = withCredentialsService(
            STREAM_NAME,
            APPLICATION_NAME,
            REGION,
            ACCESS_KEY_ID,
            SECRET_ACCESS_KEY,
            SESSION_TOKEN,
            ROLE_ARN,
            ROLE_SESSION_NAME,
            ROLE_EXTERNAL_ID,
            ROLE_STS_ENDPOINT,
            CONSUMER_TYPE,
            PROCESSING_STRATEGY,
            OUTPUT_STRATEGY,
            ARRIVAL_FORMAT,
            MESSAGE_DEMARCATOR,
            INITIAL_POSITION,
            POSITION_TIMESTAMP,
            MAX_RECORDS,
            MAX_BATCH_DURATION,
            MAX_BATCH_SIZE,
            MEMORY_BUDGET,
            SHARD_ORDER,
            WIRE_FORMAT,
            ENDPOINT,
            Proxies.SERVICE,
            Certificates.FILE);

    private KinesisProperties() {}

    private static List<PropertyDescriptor> withCredentialsService(final PropertyDescriptor... others) {
        final List<PropertyDescriptor> all = new ArrayList<>(List.of(others));
        ServiceCredentials.DESCRIPTOR.ifPresent(service -> all.add(all.indexOf(REGION), service));
        return List.copyOf(all);
    }
}
