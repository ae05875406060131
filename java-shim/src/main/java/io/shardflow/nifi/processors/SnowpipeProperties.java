/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import java.util.List;
import org.apache.nifi.components.AllowableValue;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.expression.ExpressionLanguageScope;
import org.apache.nifi.key.service.api.PrivateKeyService;

/** Properties of {@link PublishSnowpipeStreaming}: names, values and meanings are those of Snowflake's own processor. */
final class SnowpipeProperties {

    static final AllowableValue KEY_PAIR =
            new AllowableValue("KEY_PAIR", "Key Pair", "The user proves itself with a private key");
    static final AllowableValue MANAGED = new AllowableValue(
            "SNOWFLAKE_MANAGED",
            "Snowflake Managed",
            "The identity of the Openflow runtime, by the token files that Snowflake renews. Works only inside Openflow");

    static final AllowableValue STANDARD_CONNECTION =
            new AllowableValue("STANDARD", "Standard", "By the account's public host name");
    static final AllowableValue PRIVATE_CONNECTIVITY = new AllowableValue(
            "PRIVATE_CONNECTIVITY",
            "Private Connectivity",
            "By the account's host name for private links; the name of the ingest host must resolve there, too");

    static final AllowableValue STANDARD_CHANNEL = new AllowableValue(
            "STANDARD",
            "Standard",
            "Named channels: rows stay in order, and with Offset Tracking Resolution Record each is stored exactly once");
    static final AllowableValue ELASTIC_CHANNEL = new AllowableValue(
            "ELASTIC",
            "Elastic",
            "The elastic channel of the table or pipe: fastest, but a row can be stored more than once, the order is not"
                    + " kept, and rows that Snowflake rejects are known only to the table's error table");

    static final AllowableValue TO_PIPE =
            new AllowableValue("PIPE", "Pipe", "A pipe that was created with a mapping of its own");
    static final AllowableValue TO_TABLE =
            new AllowableValue("TABLE", "Table", "A table, by way of the default pipe that Snowflake gives it");

    static final AllowableValue TRACK_RECORD = new AllowableValue(
            "RECORD", "Record", "A row at or below the channel's committed offset token is not sent again");
    static final AllowableValue TRACK_FLOW_FILE = new AllowableValue(
            "FLOW_FILE",
            "FlowFile",
            "A FlowFile at or below the channel's committed offset token is not sent again. One that needs several requests"
                    + " (above about 3.5 MB when compressed) is sent again whole when it is interrupted between them: rows of"
                    + " it can then be stored more than once");
    static final AllowableValue TRACK_DISABLED = new AllowableValue(
            "DISABLED",
            "Disabled",
            "Every FlowFile is sent, also one that was sent before: a row can be stored more than once");

    static final AllowableValue INVALID_FLOW_FILE =
            new AllowableValue("FLOW_FILE", "FlowFile", "The FlowFile that holds them, as Snowflake's processor does");
    static final AllowableValue INVALID_ONLY_ROWS = new AllowableValue(
            "ROWS",
            "Rows",
            "They alone, when Warehouse is set and the table has error logging; the rest of the FlowFile is successful."
                    + " Otherwise the rows of the requests that hold them: Snowflake names the request and not the row, so rows"
                    + " that were stored can be among them, mostly when many rows are rejected");

    static final AllowableValue GAP_WAIT = new AllowableValue(
            "WAIT",
            "Wait",
            "Hold the FlowFile until the gap closes, and say so after Gap Timeout; nothing can be lost");
    static final AllowableValue GAP_PUBLISH = new AllowableValue(
            "PUBLISH",
            "Publish",
            "Publish after Gap Timeout. If what was in the gap comes later it goes to failure, but the processor remembers"
                    + " gaps only while it runs: after a restart it is taken for stored, goes to success, and is lost");
    static final AllowableValue GAP_FAIL = new AllowableValue(
            "FAIL",
            "Fail",
            "Route the FlowFile to failure after Gap Timeout; later ones go on without it. If it comes back after them it"
                    + " goes to failure again, but the processor remembers that only while it runs: after a restart it is"
                    + " taken for stored, goes to success, and is lost");

    static final PropertyDescriptor AUTHENTICATION = new PropertyDescriptor.Builder()
            .name("Authentication Strategy")
            .description("How the processor proves its identity to Snowflake.")
            .required(true)
            .allowableValues(KEY_PAIR, MANAGED)
            .defaultValue(KEY_PAIR)
            .build();

    static final PropertyDescriptor CONNECTION = new PropertyDescriptor.Builder()
            .name("Connection Strategy")
            .description("Network way to the account.")
            .required(true)
            .allowableValues(STANDARD_CONNECTION, PRIVATE_CONNECTIVITY)
            .defaultValue(STANDARD_CONNECTION)
            .dependsOn(AUTHENTICATION, KEY_PAIR)
            .build();

    static final PropertyDescriptor ACCOUNT = new PropertyDescriptor.Builder()
            .name("Account")
            .description("Account identifier in the form organization-account.")
            .required(true)
            .expressionLanguageSupported(ExpressionLanguageScope.ENVIRONMENT)
            .addValidator(Validators.NON_BLANK)
            .dependsOn(AUTHENTICATION, KEY_PAIR)
            .build();

    static final PropertyDescriptor USER = new PropertyDescriptor.Builder()
            .name("User")
            .description("Name of the user, of type SERVICE.")
            .required(true)
            .expressionLanguageSupported(ExpressionLanguageScope.ENVIRONMENT)
            .addValidator(Validators.NON_BLANK)
            .dependsOn(AUTHENTICATION, KEY_PAIR)
            .build();

    static final PropertyDescriptor ROLE = new PropertyDescriptor.Builder()
            .name("Role")
            .description("Role with the privileges on the destination; the user's default role when not set.")
            .expressionLanguageSupported(ExpressionLanguageScope.ENVIRONMENT)
            .addValidator(Validators.OPTIONAL_TEXT)
            .dependsOn(AUTHENTICATION, KEY_PAIR)
            .build();

    static final PropertyDescriptor PRIVATE_KEY_SERVICE = new PropertyDescriptor.Builder()
            .name("Private Key Service")
            .description("Service that provides the user's private key. Either this or Private Key must be set.")
            .identifiesControllerService(PrivateKeyService.class)
            .dependsOn(AUTHENTICATION, KEY_PAIR)
            .build();

    static final PropertyDescriptor PRIVATE_KEY = new PropertyDescriptor.Builder()
            .name("Private Key")
            .description(
                    "The user's private key in PEM form, encrypted or not. Either this or Private Key Service must be"
                            + " set.")
            .sensitive(true)
            .addValidator(Validators.OPTIONAL_PRIVATE_KEY)
            .dependsOn(AUTHENTICATION, KEY_PAIR)
            .build();

    static final PropertyDescriptor PRIVATE_KEY_PASSWORD = new PropertyDescriptor.Builder()
            .name("Private Key Password")
            .description("Password of an encrypted Private Key.")
            .sensitive(true)
            .addValidator(Validators.OPTIONAL_TEXT)
            .dependsOn(AUTHENTICATION, KEY_PAIR)
            .build();

    static final PropertyDescriptor DESTINATION_TYPE = new PropertyDescriptor.Builder()
            .name("Destination Type")
            .description("Whether rows go to a table or through a pipe of its own.")
            .required(true)
            .allowableValues(TO_PIPE, TO_TABLE)
            .defaultValue(TO_TABLE)
            .build();

    static final PropertyDescriptor DATABASE = name("Database")
            .description(
                    "Database of the destination. It must exist. Case-sensitive: a name that was created without quotes is"
                            + " given in upper case.")
            .build();

    static final PropertyDescriptor SCHEMA = name("Schema")
            .description("Schema of the destination. It must exist. Case-sensitive, as Database.")
            .build();

    static final PropertyDescriptor PIPE = name("Pipe")
            .description("Pipe to send rows to. It must exist. Case-sensitive, as Database.")
            .dependsOn(DESTINATION_TYPE, TO_PIPE)
            .build();

    static final PropertyDescriptor TABLE = name("Table")
            .description("Table to store rows in. It must exist. Case-sensitive, as Database.")
            .dependsOn(DESTINATION_TYPE, TO_TABLE)
            .build();

    static final PropertyDescriptor CHANNEL_TYPE = new PropertyDescriptor.Builder()
            .name("Channel Type")
            .description("How rows travel to Snowflake, and what is promised about them.")
            .required(true)
            .allowableValues(STANDARD_CHANNEL, ELASTIC_CHANNEL)
            .defaultValue(STANDARD_CHANNEL)
            .build();

    static final PropertyDescriptor TRACKING = new PropertyDescriptor.Builder()
            .name("Offset Tracking Resolution")
            .description("What the channel's committed offset token is compared with, so that nothing is stored twice.")
            .required(true)
            .allowableValues(TRACK_RECORD, TRACK_FLOW_FILE, TRACK_DISABLED)
            .defaultValue(TRACK_DISABLED)
            .dependsOn(CHANNEL_TYPE, STANDARD_CHANNEL)
            .build();

    static final PropertyDescriptor TOKEN_START = new PropertyDescriptor.Builder()
            .name("Offset Token Start Expression")
            .description("Decimal number of the first row of a FlowFile, of any length.")
            .required(true)
            .expressionLanguageSupported(ExpressionLanguageScope.FLOWFILE_ATTRIBUTES)
            .addValidator(Validators.NON_BLANK)
            .dependsOn(TRACKING, TRACK_RECORD)
            .dependsOn(CHANNEL_TYPE, STANDARD_CHANNEL)
            .build();

    static final PropertyDescriptor TOKEN_END = new PropertyDescriptor.Builder()
            .name("Offset Token End Expression")
            .description(
                    "Decimal number of the last row of a FlowFile, of any length; it becomes the channel's offset token.")
            .required(true)
            .expressionLanguageSupported(ExpressionLanguageScope.FLOWFILE_ATTRIBUTES)
            .addValidator(Validators.NON_BLANK)
            .dependsOn(TRACKING, TRACK_RECORD, TRACK_FLOW_FILE)
            .dependsOn(CHANNEL_TYPE, STANDARD_CHANNEL)
            .build();

    static final PropertyDescriptor TOKEN_PREVIOUS = new PropertyDescriptor.Builder()
            .name("Offset Token Previous Expression")
            .description(
                    "Decimal number of the last row before a FlowFile. When it is above the channel's committed offset"
                            + " token, rows are missing in between, and Gap Strategy applies. Without a value gaps are not looked for:"
                            + " rows that come later than others of their channel can be taken for stored.")
            .expressionLanguageSupported(ExpressionLanguageScope.FLOWFILE_ATTRIBUTES)
            .addValidator(Validators.OPTIONAL_TEXT)
            .defaultValue("${aws.kinesis.previous.sharded.sequence.number}")
            .dependsOn(TRACKING, TRACK_RECORD, TRACK_FLOW_FILE)
            .dependsOn(CHANNEL_TYPE, STANDARD_CHANNEL)
            .build();

    static final PropertyDescriptor TOKEN_POINTER = new PropertyDescriptor.Builder()
            .name("Offset Token Record Pointer")
            .description("JSON Pointer to the decimal number of a row, a number or a string.")
            .required(true)
            .addValidator(Validators.JSON_POINTER)
            .dependsOn(TRACKING, TRACK_RECORD)
            .dependsOn(CHANNEL_TYPE, STANDARD_CHANNEL)
            .build();

    static final PropertyDescriptor CHANNEL_GROUP = new PropertyDescriptor.Builder()
            .name("Channel Group")
            .description(
                    "FlowFiles of one group use one channel, in order of their offset tokens. With offset tracking, tokens"
                            + " of one group must come from one sequence: for Kinesis name stream, lineage and shard. Two nodes or"
                            + " processors that use one channel at a time invalidate each other's and reopen it. Without offset"
                            + " tracking the host's name is added to the group's, so that nodes do not share a channel.")
            .required(true)
            .expressionLanguageSupported(ExpressionLanguageScope.FLOWFILE_ATTRIBUTES)
            .addValidator(Validators.NON_BLANK)
            .defaultValue("SHARED")
            .dependsOn(CHANNEL_TYPE, STANDARD_CHANNEL)
            .build();

    static final PropertyDescriptor TRACKING_TIMEOUT = new PropertyDescriptor.Builder()
            .name("Offset Tracking Timeout")
            .description(
                    "Longest time to wait for Snowflake to commit rows that it has accepted, before the channel is opened"
                            + " again.")
            .required(true)
            .addValidator(Validators.duration(1_000, 3_600_000))
            .defaultValue("90 sec")
            .dependsOn(CHANNEL_TYPE, STANDARD_CHANNEL)
            .build();

    static final PropertyDescriptor INSERT_TIMEOUT = new PropertyDescriptor.Builder()
            .name("Channel Insert Timeout")
            .description(
                    "Longest time for all tries of one request with rows. Time that Snowflake asks to wait (throttling) does not"
                            + " count.")
            .required(true)
            .addValidator(Validators.duration(1_000, 300_000))
            .defaultValue("30 sec")
            .build();

    static final PropertyDescriptor INVALID_ROWS = new PropertyDescriptor.Builder()
            .name("Invalid Rows")
            .description("What is routed to invalid when Snowflake rejects rows that it has accepted before.")
            .required(true)
            .allowableValues(INVALID_FLOW_FILE, INVALID_ONLY_ROWS)
            .defaultValue(INVALID_FLOW_FILE)
            .dependsOn(TRACKING, TRACK_RECORD)
            .dependsOn(CHANNEL_TYPE, STANDARD_CHANNEL)
            .build();

    static final PropertyDescriptor WAREHOUSE = new PropertyDescriptor.Builder()
            .name("Warehouse")
            .description(
                    "Warehouse that reads the table's error table, to know which rows Snowflake rejected. It is used when rows"
                            + " were rejected and for nothing else. The role needs USAGE on it and SELECT ERROR TABLE on the table."
                            + " Case-sensitive, as Database.")
            .expressionLanguageSupported(ExpressionLanguageScope.ENVIRONMENT)
            .addValidator(Validators.OPTIONAL_TEXT)
            .dependsOn(INVALID_ROWS, INVALID_ONLY_ROWS)
            .dependsOn(TRACKING, TRACK_RECORD)
            .dependsOn(CHANNEL_TYPE, STANDARD_CHANNEL)
            .build();

    static final PropertyDescriptor GAP_STRATEGY = new PropertyDescriptor.Builder()
            .name("Gap Strategy")
            .description(
                    "What happens to a FlowFile when rows before it are neither stored nor here. They are usually in a queue"
                            + " of this or another node.")
            .required(true)
            .allowableValues(GAP_WAIT, GAP_PUBLISH, GAP_FAIL)
            .defaultValue(GAP_WAIT)
            .dependsOn(TRACKING, TRACK_RECORD, TRACK_FLOW_FILE)
            .dependsOn(CHANNEL_TYPE, STANDARD_CHANNEL)
            .build();

    static final PropertyDescriptor GAP_TIMEOUT = new PropertyDescriptor.Builder()
            .name("Gap Timeout")
            .description("How long a FlowFile waits before Gap Strategy applies.")
            .required(true)
            .addValidator(Validators.duration(0, 7L * 24 * 3_600_000))
            .defaultValue("5 min")
            .dependsOn(TRACKING, TRACK_RECORD, TRACK_FLOW_FILE)
            .dependsOn(CHANNEL_TYPE, STANDARD_CHANNEL)
            .build();

    static final PropertyDescriptor COMPRESSION_LEVEL = new PropertyDescriptor.Builder()
            .name("Compression Level")
            .description("Level of the zstd compression of requests, from 1 (fast) to 19 (small).")
            .required(true)
            .addValidator(Validators.number(1, 19))
            .defaultValue("1")
            .build();

    static final PropertyDescriptor MEMORY_BUDGET = new PropertyDescriptor.Builder()
            .name("Memory Budget")
            .description("Most bytes of requests held outside the Java heap. FlowFiles wait when it is used up.")
            .required(true)
            .addValidator(Validators.size(1L << 20, 1L << 40))
            .defaultValue("64 MB")
            .build();

    static final PropertyDescriptor ENDPOINT = new PropertyDescriptor.Builder()
            .name("Snowflake Endpoint Override URL")
            .description(
                    "Address used instead of https://ACCOUNT.snowflakecomputing.com, for private networks and tests; https only.")
            .expressionLanguageSupported(ExpressionLanguageScope.ENVIRONMENT)
            .addValidator(Validators.OPTIONAL_HTTPS_URL)
            .build();

    static final List<PropertyDescriptor> ALL = List.of(
            AUTHENTICATION,
            CONNECTION,
            ACCOUNT,
            USER,
            ROLE,
            PRIVATE_KEY_SERVICE,
            PRIVATE_KEY,
            PRIVATE_KEY_PASSWORD,
            DESTINATION_TYPE,
            DATABASE,
            SCHEMA,
            PIPE,
            TABLE,
            CHANNEL_TYPE,
            TRACKING_TIMEOUT,
            TRACKING,
            TOKEN_START,
            TOKEN_END,
            TOKEN_POINTER,
            CHANNEL_GROUP,
            INSERT_TIMEOUT,
            TOKEN_PREVIOUS,
            INVALID_ROWS,
            WAREHOUSE,
            GAP_STRATEGY,
            GAP_TIMEOUT,
            COMPRESSION_LEVEL,
            MEMORY_BUDGET,
            ENDPOINT,
            Proxies.SERVICE,
            Certificates.FILE);

    private SnowpipeProperties() {}

    private static PropertyDescriptor.Builder name(final String name) {
        return new PropertyDescriptor.Builder()
                .name(name)
                .required(true)
                .expressionLanguageSupported(ExpressionLanguageScope.FLOWFILE_ATTRIBUTES)
                .addValidator(Validators.NON_BLANK);
    }
}
