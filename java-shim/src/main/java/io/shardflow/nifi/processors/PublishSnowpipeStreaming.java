/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import io.shardflow.nifi.bridge.Bridge;
import io.shardflow.nifi.bridge.LogPump;
import io.shardflow.nifi.bridge.NativeException;
import io.shardflow.nifi.bridge.SnowpipeSink;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.apache.nifi.annotation.behavior.InputRequirement;
import org.apache.nifi.annotation.behavior.InputRequirement.Requirement;
import org.apache.nifi.annotation.behavior.ReadsAttribute;
import org.apache.nifi.annotation.behavior.SystemResource;
import org.apache.nifi.annotation.behavior.SystemResourceConsideration;
import org.apache.nifi.annotation.behavior.TriggerWhenEmpty;
import org.apache.nifi.annotation.behavior.WritesAttribute;
import org.apache.nifi.annotation.behavior.WritesAttributes;
import org.apache.nifi.annotation.configuration.DefaultSchedule;
import org.apache.nifi.annotation.configuration.DefaultSettings;
import org.apache.nifi.annotation.documentation.CapabilityDescription;
import org.apache.nifi.annotation.documentation.SeeAlso;
import org.apache.nifi.annotation.documentation.Tags;
import org.apache.nifi.annotation.lifecycle.OnRemoved;
import org.apache.nifi.annotation.lifecycle.OnScheduled;
import org.apache.nifi.annotation.lifecycle.OnShutdown;
import org.apache.nifi.annotation.lifecycle.OnStopped;
import org.apache.nifi.annotation.lifecycle.OnUnscheduled;
import org.apache.nifi.components.ConfigVerificationResult;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.components.PropertyValue;
import org.apache.nifi.components.ValidationContext;
import org.apache.nifi.components.ValidationResult;
import org.apache.nifi.context.PropertyContext;
import org.apache.nifi.key.service.api.PrivateKeyService;
import org.apache.nifi.logging.ComponentLog;
import org.apache.nifi.migration.PropertyConfiguration;
import org.apache.nifi.processor.AbstractSessionFactoryProcessor;
import org.apache.nifi.processor.ProcessContext;
import org.apache.nifi.processor.ProcessSessionFactory;
import org.apache.nifi.processor.Relationship;
import org.apache.nifi.processor.VerifiableProcessor;

/**
 * Writes rows to Snowflake with Snowpipe Streaming. Which FlowFile's content is wanted when, and what became of it, is
 * decided on the native side; here FlowFiles are announced, read when wanted, and routed.
 */
@Tags({"Snowflake", "Snowpipe Streaming", "NDJSON", "JSON", "Kinesis"})
@CapabilityDescription(
        "Stores rows in a Snowflake table with the high-performance Snowpipe Streaming API. Content is NDJSON, one"
                + " JSON object a line. A FlowFile is successful when Snowflake has committed its rows. With offset tracking by"
                + " record a row is stored exactly once, also when FlowFiles are delivered again or in another order.")
@InputRequirement(Requirement.INPUT_REQUIRED)
@TriggerWhenEmpty
@DefaultSettings(yieldDuration = "50 millis")
@DefaultSchedule(period = "0 sec")
@SystemResourceConsideration(
        resource = SystemResource.MEMORY,
        description = "Holds up to Memory Budget bytes of requests outside the Java heap.")
@SeeAlso(ConsumeKinesis.class)
@ReadsAttribute(
        attribute = "record.count",
        description = "Number of rows, to count those of a FlowFile that is skipped whole")
@WritesAttributes({
    @WritesAttribute(
            attribute = "channel.status.row.errors.added",
            description = "Number of rows of this FlowFile that Snowflake rejected, 0 when none"),
    @WritesAttribute(
            attribute = "snowpipe.streaming.offset.start",
            description = "Offset token that the first row has at least, on a FlowFile that holds a part of the rows"),
    @WritesAttribute(
            attribute = "snowpipe.streaming.offset.end",
            description = "Offset token that the last row has at most, on a FlowFile that holds a part of the rows"),
    @WritesAttribute(
            attribute = "snowpipe.streaming.message",
            description = "Why the FlowFile could not be stored, or which rows were rejected, on failure and invalid")
})
public class PublishSnowpipeStreaming extends AbstractSessionFactoryProcessor implements VerifiableProcessor {

    static final Relationship SUCCESS = new Relationship.Builder()
            .name("success")
            .description("All rows are stored, by this FlowFile or before")
            .build();
    static final Relationship FAILURE = new Relationship.Builder()
            .name("failure")
            .description("The rows cannot be stored. A row that is too large for a request comes here alone, unless the"
                    + " content is compressed")
            .build();
    static final Relationship INVALID = new Relationship.Builder()
            .name("invalid")
            .description(
                    "Snowflake rejected one or more rows, or compressed content has a row that is too large for a request;"
                            + " the others are stored")
            .build();
    static final Relationship EMPTY = new Relationship.Builder()
            .name("empty")
            .description("FlowFiles without content")
            .autoTerminateDefault(true)
            .build();

    private static final long CLOSE_MILLIS = 4_000;

    // In an order that stays, on the screen and in the NAR's documentation.
    private static final Set<Relationship> RELATIONSHIPS =
            Collections.unmodifiableSet(new LinkedHashSet<>(List.of(SUCCESS, FAILURE, INVALID, EMPTY)));

    private final Supplier<Bridge> bridges;
    private final LogPump logPump = new LogPump();

    private final AtomicReference<Publication> publication = new AtomicReference<>();

    private volatile Bridge bridge;

    /** For NiFi. */
    public PublishSnowpipeStreaming() {
        this(Bridge::load);
    }

    PublishSnowpipeStreaming(final Supplier<Bridge> bridges) {
        this.bridges = bridges;
    }

    @Override
    protected List<PropertyDescriptor> getSupportedPropertyDescriptors() {
        return SnowpipeProperties.ALL;
    }

    @Override
    public Set<Relationship> getRelationships() {
        return RELATIONSHIPS;
    }

    @Override
    public void migrateProperties(final PropertyConfiguration config) {
        Migrations.snowpipe(config, getLogger());
    }

    @Override
    protected List<ValidationResult> customValidate(final ValidationContext context) {
        final List<ValidationResult> proxy =
                Proxies.validate(context).map(List::of).orElse(List.of());
        if (!isKeyPair(context)) {
            return proxy;
        }
        final boolean service =
                context.getProperty(SnowpipeProperties.PRIVATE_KEY_SERVICE).isSet();
        final boolean key = Settings.isSet(context.getProperty(SnowpipeProperties.PRIVATE_KEY));
        if (service != key) {
            return proxy;
        }
        return List.of(new ValidationResult.Builder()
                .subject(SnowpipeProperties.PRIVATE_KEY.getName())
                .valid(false)
                .explanation("exactly one of Private Key Service and Private Key must be set")
                .build());
    }

    private static boolean isKeyPair(final PropertyContext context) {
        return SnowpipeProperties.KEY_PAIR
                .getValue()
                .equals(context.getProperty(SnowpipeProperties.AUTHENTICATION).getValue());
    }

    /** Opens the sink; login and channels follow in the background. */
    @OnScheduled
    public void open(final ProcessContext context) {
        bridge = bridges.get();
        final SnowpipeSink sink = bridge.openSink(settings(context).toMap());
        publication.set(new Publication(sink, getLogger()));
    }

    @Override
    public void onTrigger(final ProcessContext context, final ProcessSessionFactory sessionFactory) {
        final Publication current = publication.get();
        if (current == null) {
            context.yield();
            return;
        }
        try {
            current.trigger(context, sessionFactory);
        } finally {
            tell(current.sink());
        }
    }

    /** Sends threads back that wait for room, because NiFi waits for them before it stops. */
    @OnUnscheduled
    public void hurry() {
        final Publication current = publication.get();
        if (current != null) {
            current.hurry();
        }
    }

    /**
     * Gives what is not stored back to the queue, within a bounded time. Also when the instance is discarded, which a
     * termination does without stopping it: its FlowFiles would be nobody's until NiFi ends.
     */
    @OnStopped
    @OnShutdown
    @OnRemoved
    public void close() {
        final Publication current = publication.getAndSet(null);
        if (current == null) {
            return;
        }
        try {
            current.stop();
            tell(current.sink());
        } finally {
            close(current.sink());
        }
    }

    private void close(final SnowpipeSink sink) {
        try {
            sink.close(CLOSE_MILLIS);
            logPump.pump(bridge);
        } catch (final NativeException e) {
            getLogger().warn("The Snowflake sink did not close cleanly", e);
        }
    }

    @Override
    public List<ConfigVerificationResult> verify(
            final ProcessContext context, final ComponentLog verificationLogger, final Map<String, String> attributes) {
        try {
            final Settings settings = settings(context);
            Destination.of(context, attributes).forEach(settings::value);
            return Reports.results(bridges.get().verifySink(settings.toMap()));
        } catch (final RuntimeException e) {
            verificationLogger.warn("Verification failed", e);
            return Reports.failed(e instanceof NativeException ? "Snowflake Sink" : "Evaluate properties", e);
        }
    }

    private void tell(final SnowpipeSink sink) {
        try {
            Reports.log(sink.messages(), getLogger());
            logPump.pump(bridge);
        } catch (final NativeException e) {
            getLogger().debug("Messages come later", e);
        }
    }

    private static Settings settings(final ProcessContext context) {
        // White space belongs to a password.
        final Settings settings = Proxies.add(context, new Settings(context))
                .raw(SnowpipeProperties.PRIVATE_KEY_PASSWORD)
                .text(
                        SnowpipeProperties.AUTHENTICATION,
                        SnowpipeProperties.CONNECTION,
                        SnowpipeProperties.ACCOUNT,
                        SnowpipeProperties.USER,
                        SnowpipeProperties.ROLE,
                        SnowpipeProperties.PRIVATE_KEY,
                        SnowpipeProperties.DESTINATION_TYPE,
                        SnowpipeProperties.CHANNEL_TYPE,
                        SnowpipeProperties.TRACKING,
                        SnowpipeProperties.TOKEN_POINTER,
                        SnowpipeProperties.INVALID_ROWS,
                        SnowpipeProperties.WAREHOUSE,
                        SnowpipeProperties.GAP_STRATEGY,
                        SnowpipeProperties.COMPRESSION_LEVEL,
                        SnowpipeProperties.ENDPOINT,
                        Certificates.FILE)
                .duration(
                        SnowpipeProperties.TRACKING_TIMEOUT,
                        SnowpipeProperties.INSERT_TIMEOUT,
                        SnowpipeProperties.GAP_TIMEOUT)
                .size(SnowpipeProperties.MEMORY_BUDGET);
        final PropertyValue service = context.getProperty(SnowpipeProperties.PRIVATE_KEY_SERVICE);
        if (service.isSet() && isKeyPair(context)) {
            final PrivateKeyService keys = service.asControllerService(PrivateKeyService.class);
            settings.value(SnowpipeProperties.PRIVATE_KEY.getName(), PrivateKeys.pem(keys.getPrivateKey()));
        }
        return settings;
    }
}
