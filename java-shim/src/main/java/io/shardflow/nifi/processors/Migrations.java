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
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.logging.ComponentLog;
import org.apache.nifi.migration.PropertyConfiguration;

/** Carries the properties of flows over that were saved with the processors that ours take the place of. */
final class Migrations {

    private static final String CUSTOM_REGION = "Custom Region";
    private static final String USE_CUSTOM_REGION = "use-custom-region";
    private static final String RECORD = KinesisProperties.RECORD.getValue();
    private static final String RECORD_READER = "Record Reader";
    private static final String RECORD_WRITER = "Record Writer";
    private static final Pattern DEFAULT_PIPE = Pattern.compile("\"?(.+?)-STREAMING\"?");

    /** What Apache NiFi's ConsumeKinesis has and ours does not need. */
    private static final List<String> KINESIS_GONE =
            List.of(CUSTOM_REGION, RECORD_READER, RECORD_WRITER, "Checkpoint Interval", "Metrics Publishing");

    /** What Snowflake's PublishSnowpipeStreaming has and ours does not need. */
    private static final List<String> SNOWPIPE_GONE =
            List.of("Web Client Service Provider", "Transfer Strategy", "File Fragment Size", "File Fragment Count");

    private Migrations() {}

    static void kinesis(final PropertyConfiguration config, final ComponentLog log) {
        if (RECORD.equals(config.getPropertyValue(KinesisProperties.PROCESSING_STRATEGY.getName())
                        .orElse(RECORD))
                && Stream.of(RECORD_READER, RECORD_WRITER).anyMatch(config::isPropertySet)) {
            log.warn(
                    "{} and {} are not taken over: the processing strategy RECORD reads JSON objects and writes them one a"
                            + " line. For records in another format choose FLOW_FILE, LINE_DELIMITED or DEMARCATOR and"
                            + " convert the FlowFiles with ConvertRecord.",
                    RECORD_READER,
                    RECORD_WRITER);
        }
        config.renameProperty("Max Bytes to Buffer", KinesisProperties.MAX_BATCH_SIZE.getName());
        if (config.getRawPropertyValue(KinesisProperties.REGION.getName())
                .filter(USE_CUSTOM_REGION::equals)
                .isPresent()) {
            config.setProperty(
                    KinesisProperties.REGION.getName(),
                    config.getRawPropertyValue(CUSTOM_REGION).orElse(null));
        }
        config.renameProperty("proxy-configuration-service", Proxies.SERVICE.getName());
        if (ServiceCredentials.DESCRIPTOR.isEmpty()) {
            config.removeProperty("AWS Credentials Provider Service");
        }
        KINESIS_GONE.forEach(config::removeProperty);
    }

    static void snowpipe(final PropertyConfiguration config, final ComponentLog log) {
        final PropertyDescriptor pipe = SnowpipeProperties.PIPE;
        final PropertyDescriptor destination = SnowpipeProperties.DESTINATION_TYPE;
        final String value = config.getRawPropertyValue(pipe.getName()).orElse(null);
        // Before the destination could be chosen there was only a pipe, and a table meant its default pipe.
        if (value != null && !config.isPropertySet(destination.getName())) {
            final Matcher matcher = DEFAULT_PIPE.matcher(value);
            if (matcher.matches()) {
                config.setProperty(SnowpipeProperties.TABLE.getName(), matcher.group(1));
                config.setProperty(destination.getName(), SnowpipeProperties.TO_TABLE.getValue());
                config.removeProperty(pipe.getName());
            } else {
                config.setProperty(destination.getName(), SnowpipeProperties.TO_PIPE.getValue());
            }
        }
        final List<String> given =
                SNOWPIPE_GONE.stream().filter(config::isPropertySet).toList();
        SNOWPIPE_GONE.forEach(config::removeProperty);
        if (!given.isEmpty()) {
            log.warn(
                    "Left out, because this processor sends rows in requests of its own HTTPS client and has no need of"
                            + " them: {}",
                    String.join(", ", given));
        }
    }
}
