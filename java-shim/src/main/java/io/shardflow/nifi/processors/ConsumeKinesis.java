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
import io.shardflow.nifi.bridge.KinesisSource;
import io.shardflow.nifi.bridge.LogPump;
import io.shardflow.nifi.bridge.NativeException;
import io.shardflow.nifi.bridge.PartHeader;
import java.io.IOException;
import java.time.Duration;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.apache.nifi.annotation.behavior.InputRequirement;
import org.apache.nifi.annotation.behavior.InputRequirement.Requirement;
import org.apache.nifi.annotation.behavior.Stateful;
import org.apache.nifi.annotation.behavior.SystemResource;
import org.apache.nifi.annotation.behavior.SystemResourceConsideration;
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
import org.apache.nifi.components.ValidationContext;
import org.apache.nifi.components.ValidationResult;
import org.apache.nifi.components.state.Scope;
import org.apache.nifi.logging.ComponentLog;
import org.apache.nifi.migration.PropertyConfiguration;
import org.apache.nifi.migration.RelationshipConfiguration;
import org.apache.nifi.processor.AbstractSessionFactoryProcessor;
import org.apache.nifi.processor.ProcessContext;
import org.apache.nifi.processor.ProcessSession;
import org.apache.nifi.processor.ProcessSessionFactory;
import org.apache.nifi.processor.Relationship;
import org.apache.nifi.processor.VerifiableProcessor;

/** Reads a Kinesis data stream. Everything but the FlowFiles themselves is decided on the native side. */
@Tags({"Amazon", "AWS", "Kinesis", "Stream", "JSON", "NDJSON", "Snowflake"})
@CapabilityDescription(
        "Reads the records of an Amazon Kinesis data stream at least once. A FlowFile holds records of one shard, in"
                + " order (JSON objects, one a line, unless another strategy is chosen), and knows its range of positions,"
                + " so that PublishSnowpipeStreaming stores every row once. Nodes share the shards through leases in a DynamoDB table, which"
                + " also keeps the progress: it advances only when NiFi has stored the FlowFiles.")
@InputRequirement(Requirement.INPUT_FORBIDDEN)
@DefaultSettings(yieldDuration = "20 millis")
@DefaultSchedule(period = "0 sec")
@SystemResourceConsideration(
        resource = SystemResource.MEMORY,
        description = "Holds up to Memory Budget bytes of records outside the Java heap.")
@Stateful(
        scopes = Scope.LOCAL,
        description =
                "An id of this processor on this NiFi node, under which it holds leases. Progress is not kept here but in"
                        + " the DynamoDB table.")
@SeeAlso(PublishSnowpipeStreaming.class)
@WritesAttributes({
    @WritesAttribute(attribute = "aws.kinesis.stream.name", description = "Name of the stream"),
    @WritesAttribute(attribute = "aws.kinesis.shard.id", description = "Shard that the records are from"),
    @WritesAttribute(attribute = "aws.kinesis.partition.key", description = "Partition key of the last record"),
    @WritesAttribute(
            attribute = "aws.kinesis.first.sequence.number",
            description = "Sequence number of the first record"),
    @WritesAttribute(
            attribute = "aws.kinesis.first.subsequence.number",
            description = "Index of the first record in its aggregate, 0 for a plain record"),
    @WritesAttribute(
            attribute = "aws.kinesis.last.sequence.number",
            description = "Sequence number of the last record"),
    @WritesAttribute(
            attribute = "aws.kinesis.last.subsequence.number",
            description = "Index of the last record in its aggregate, 0 for a plain record"),
    @WritesAttribute(
            attribute = "aws.kinesis.first.sharded.sequence.number",
            description = "Position of the first record as one decimal number"),
    @WritesAttribute(
            attribute = "aws.kinesis.last.sharded.sequence.number",
            description = "Position of the last record as one decimal number"),
    @WritesAttribute(
            attribute = "aws.kinesis.previous.sharded.sequence.number",
            description =
                    "Last position of the FlowFile of rows emitted before this one for the shard, 0 at its beginning"),
    @WritesAttribute(
            attribute = "aws.kinesis.lineage.id",
            description =
                    "Changes when positions start afresh: another stream of the same name, a new table, another application"),
    @WritesAttribute(
            attribute = "aws.kinesis.approximate.arrival.timestamp.ms",
            description = "When the last record entered the stream, in epoch milliseconds"),
    @WritesAttribute(attribute = "kinesis.millis.behind", description = "How far reading was behind the stream's end"),
    @WritesAttribute(attribute = "mime.type", description = "application/x-ndjson for rows of the RECORD strategy"),
    @WritesAttribute(attribute = "record.count", description = "Number of records in the FlowFile"),
    @WritesAttribute(
            attribute = "record.error.message",
            description = "Why the payload cannot become a row, on parse-failure")
})
public class ConsumeKinesis extends AbstractSessionFactoryProcessor implements VerifiableProcessor {

    static final Relationship SUCCESS = new Relationship.Builder()
            .name("success")
            .description("Records of one shard, in order; one JSON object a line with the RECORD strategy")
            .build();
    static final Relationship PARSE_FAILURE = new Relationship.Builder()
            .name("parse-failure")
            .description("One payload that is not exactly one JSON object, byte for byte")
            .build();

    static final String CONSUMED_COUNTER = "Records Consumed";
    static final String FAILED_COUNTER = "Records Parse Failure";

    private static final String FORMER_PARSE_FAILURE = "parse.failure";
    private static final String NODE_ID = "Node Id";
    /** Longest wait of a thread for records while they flow. */
    static final long FLOWING_WAIT_MILLIS = 50;
    /** When nothing has come for this long no thread is held: NiFi asks again after the yield. */
    private static final long FLOWING_NANOS = 1_000_000_000L;

    private static final long CLOSE_MILLIS = 5_000;
    /** How long a removal waits for a service of NiFi. */
    private static final Duration CREDENTIALS_LIMIT = Duration.ofSeconds(5);

    // In an order that stays, on the screen and in the NAR's documentation.
    private static final Set<Relationship> RELATIONSHIPS =
            Collections.unmodifiableSet(new LinkedHashSet<>(List.of(SUCCESS, PARSE_FAILURE)));

    private final Supplier<Bridge> bridges;
    private final LongSupplier nanos;
    private final Buffers buffers = new Buffers();
    private final LogPump logPump = new LogPump();

    private final AtomicReference<KinesisSource> source = new AtomicReference<>();
    private final AtomicReference<CredentialFeed> feed = new AtomicReference<>();

    private volatile Bridge bridge;
    private volatile long lastBatchNanos;

    /** For NiFi. */
    public ConsumeKinesis() {
        this(Bridge::load);
    }

    ConsumeKinesis(final Supplier<Bridge> bridges) {
        this(bridges, System::nanoTime);
    }

    ConsumeKinesis(final Supplier<Bridge> bridges, final LongSupplier nanos) {
        this.bridges = bridges;
        this.nanos = nanos;
    }

    @Override
    protected List<PropertyDescriptor> getSupportedPropertyDescriptors() {
        return KinesisProperties.ALL;
    }

    @Override
    public Set<Relationship> getRelationships() {
        return RELATIONSHIPS;
    }

    @Override
    public void migrateProperties(final PropertyConfiguration config) {
        Migrations.kinesis(config, getLogger());
    }

    @Override
    public void migrateRelationships(final RelationshipConfiguration config) {
        config.renameRelationship(FORMER_PARSE_FAILURE, PARSE_FAILURE.getName());
    }

    @Override
    protected List<ValidationResult> customValidate(final ValidationContext context) {
        final List<ValidationResult> problems = AwsIdentity.validate(context);
        Proxies.validate(context).ifPresent(problems::add);
        return problems;
    }

    /** Opens the source; creating tables and taking leases goes on in the background. */
    @OnScheduled
    public void open(final ProcessContext context) throws IOException {
        bridge = bridges.get();
        lastBatchNanos = nanos.getAsLong() - FLOWING_NANOS;
        final KinesisSource opened = bridge.openSource(settings(context)
                .value(NODE_ID, NodeId.of(context.getStateManager()))
                .toMap());
        source.set(opened);
        AwsIdentity.service(context).ifPresent(service -> feed.set(CredentialFeed.start(service, opened, getLogger())));
    }

    @Override
    public void onTrigger(final ProcessContext context, final ProcessSessionFactory sessionFactory) {
        final KinesisSource current = source.get();
        if (current == null) {
            context.yield();
            return;
        }
        final List<PartHeader> parts = poll(current);
        if (parts.isEmpty()) {
            context.yield();
        } else {
            lastBatchNanos = nanos.getAsLong();
            new Emission(current, buffers, getLogger()).emit(parts, sessionFactory.createSession());
        }
        count(current, sessionFactory);
    }

    private void count(final KinesisSource current, final ProcessSessionFactory sessionFactory) {
        try {
            final Map<String, Long> counters = current.counters();
            if (!counters.isEmpty()) {
                final ProcessSession session = sessionFactory.createSession();
                counters.forEach((name, added) -> session.adjustCounter(name, added, true));
                session.commitAsync();
            }
        } catch (final NativeException e) {
            getLogger().debug("Counts come later", e);
        }
    }

    /** Lets a waiting poll end, so that stopping is quick. */
    @OnUnscheduled
    public void stopFetching() {
        final KinesisSource current = source.get();
        if (current != null) {
            try {
                current.stopFetching();
            } catch (final NativeException e) {
                getLogger().debug("Fetching stops when the source is closed", e);
            }
        }
    }

    /** Stores progress and gives the shards back, within a bounded time. */
    @OnStopped
    @OnShutdown
    public void close() {
        final KinesisSource current = source.getAndSet(null);
        try {
            if (current != null) {
                close(current);
            }
        } finally {
            // After the source: its last calls are signed, too.
            final CredentialFeed last = feed.getAndSet(null);
            if (last != null) {
                last.close();
            }
            buffers.clear();
        }
    }

    private void close(final KinesisSource current) {
        try {
            tell(current);
        } finally {
            try {
                current.close(CLOSE_MILLIS);
                logPump.pump(bridge);
            } catch (final NativeException e) {
                getLogger().warn("The Kinesis source did not close cleanly; leases end by themselves", e);
            }
        }
    }

    /**
     * Closes what a termination left open: NiFi discards the instance then without stopping it. Removes the fan-out
     * consumer from AWS, where it would cost money for nothing, unless another node reads with it.
     */
    @OnRemoved
    public void remove(final ProcessContext context) {
        try {
            close();
        } finally {
            deregister(context);
        }
    }

    private void deregister(final ProcessContext context) {
        if (!KinesisProperties.ENHANCED_FAN_OUT
                .getValue()
                .equals(context.getProperty(KinesisProperties.CONSUMER_TYPE).getValue())) {
            return;
        }
        try {
            final Settings settings = settings(context).value(NODE_ID, NodeId.of(context.getStateManager()));
            final Map<String, String> config =
                    AwsIdentity.resolve(context, settings, CREDENTIALS_LIMIT).toMap();
            Reports.log(bridges.get().deregisterConsumer(config), getLogger());
        } catch (final RuntimeException | IOException e) {
            getLogger()
                    .warn(
                            "The fan-out consumer {} of the stream {} must be deregistered by hand",
                            context.getProperty(KinesisProperties.APPLICATION_NAME)
                                    .getValue(),
                            context.getProperty(KinesisProperties.STREAM_NAME).getValue(),
                            e);
        }
    }

    @Override
    public List<ConfigVerificationResult> verify(
            final ProcessContext context, final ComponentLog verificationLogger, final Map<String, String> attributes) {
        try {
            return Reports.results(bridges.get()
                    .verifySource(
                            AwsIdentity.resolve(context, settings(context)).toMap()));
        } catch (final RuntimeException e) {
            verificationLogger.warn("Verification failed", e);
            return Reports.failed(e instanceof NativeException ? "Kinesis Source" : "Get AWS credentials", e);
        }
    }

    private List<PartHeader> poll(final KinesisSource current) {
        try {
            final boolean flowing = nanos.getAsLong() - lastBatchNanos < FLOWING_NANOS;
            return current.poll(flowing ? FLOWING_WAIT_MILLIS : 0);
        } catch (final NativeException e) {
            report(e);
            return List.of();
        } finally {
            tell(current);
        }
    }

    private void report(final NativeException e) {
        if (e.errorCode().isRetryable()) {
            getLogger().warn("Reading from Kinesis is interrupted and goes on: {}", e.getMessage());
        } else {
            getLogger().error("Reading from Kinesis failed", e);
        }
    }

    // Also when nothing was polled: trouble is most likely then.
    private void tell(final KinesisSource current) {
        try {
            Reports.log(current.messages(), getLogger());
            logPump.pump(bridge);
        } catch (final NativeException e) {
            getLogger().debug("Messages come later", e);
        }
    }

    private static Settings settings(final ProcessContext context) {
        final Settings settings = new Settings(context);
        if (KinesisProperties.DEMARCATOR
                .getValue()
                .equals(context.getProperty(KinesisProperties.PROCESSING_STRATEGY)
                        .getValue())) {
            settings.raw(KinesisProperties.MESSAGE_DEMARCATOR);
        }
        AwsIdentity.announce(context, settings);
        return Proxies.add(context, settings)
                .text(
                        KinesisProperties.STREAM_NAME,
                        KinesisProperties.APPLICATION_NAME,
                        KinesisProperties.REGION,
                        KinesisProperties.ACCESS_KEY_ID,
                        KinesisProperties.SECRET_ACCESS_KEY,
                        KinesisProperties.SESSION_TOKEN,
                        KinesisProperties.ROLE_ARN,
                        KinesisProperties.ROLE_SESSION_NAME,
                        KinesisProperties.ROLE_EXTERNAL_ID,
                        KinesisProperties.ROLE_STS_ENDPOINT,
                        KinesisProperties.CONSUMER_TYPE,
                        KinesisProperties.PROCESSING_STRATEGY,
                        KinesisProperties.OUTPUT_STRATEGY,
                        KinesisProperties.ARRIVAL_FORMAT,
                        KinesisProperties.INITIAL_POSITION,
                        KinesisProperties.POSITION_TIMESTAMP,
                        KinesisProperties.MAX_RECORDS,
                        KinesisProperties.SHARD_ORDER,
                        KinesisProperties.WIRE_FORMAT,
                        KinesisProperties.ENDPOINT,
                        Certificates.FILE)
                .duration(KinesisProperties.MAX_BATCH_DURATION)
                .size(KinesisProperties.MAX_BATCH_SIZE, KinesisProperties.MEMORY_BUDGET);
    }
}
