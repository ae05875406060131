/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.shardflow.nifi.bridge.Outcome.State;
import java.lang.annotation.Annotation;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.nifi.annotation.lifecycle.OnRemoved;
import org.apache.nifi.annotation.lifecycle.OnShutdown;
import org.apache.nifi.annotation.lifecycle.OnStopped;
import org.apache.nifi.annotation.lifecycle.OnUnscheduled;
import org.apache.nifi.controller.AbstractControllerService;
import org.apache.nifi.processor.exception.TerminatedTaskException;
import org.apache.nifi.processors.aws.credentials.provider.AwsCredentialsProviderService;
import org.apache.nifi.util.ReflectionUtils;
import org.apache.nifi.util.TestRunner;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;

/** What NiFi calls on an instance that it discards: after Terminate and Offload that is OnRemoved without OnStopped. */
class RemovalTest {

    private static final String ROWS = "{\"a\":1}\n";

    private final FakeBridge bridge = new FakeBridge();

    @Test
    void aSourceThatWasTerminatedIsClosedOnce() {
        final ConsumeKinesis processor = new ConsumeKinesis(() -> bridge);
        final TestRunner runner = ConsumeKinesisTest.configured(processor);
        runner.run(1, false, true);
        discard(processor, runner);

        assertEquals(List.of("stop-fetching", "close 5000"), bridge.source.calls);
        call(OnStopped.class, processor, runner);
        call(OnShutdown.class, processor, runner);
        assertEquals(List.of("stop-fetching", "close 5000"), bridge.source.calls);
    }

    @Test
    void aSourceIsClosedBeforeItsConsumerIsDeregistered() {
        final ConsumeKinesis processor = new ConsumeKinesis(() -> bridge);
        final TestRunner runner = ConsumeKinesisTest.configured(processor);
        runner.setProperty(KinesisProperties.CONSUMER_TYPE, KinesisProperties.ENHANCED_FAN_OUT);
        runner.run(1, false, true);
        bridge.onDeregister = () -> bridge.source.calls.add("deregister");
        discard(processor, runner);

        assertEquals(List.of("stop-fetching", "close 5000", "deregister"), bridge.source.calls);
        assertEquals(
                bridge.configurations.getFirst().get("Node Id"),
                bridge.deregistered.getFirst().get("Node Id"),
                "its own heartbeat is no other node's");
    }

    @Test
    void aSinkThatWasTerminatedGivesItsFlowFilesBackAndIsClosedOnce() {
        final PublishSnowpipeStreaming processor = new PublishSnowpipeStreaming(() -> bridge);
        final TestRunner runner = underWay(processor);
        discard(processor, runner);

        assertEquals(2, runner.getQueueSize().getObjectCount());
        assertEquals(Set.of(1L, 2L), new HashSet<>(bridge.sink.abandoned));
        final List<String> calls = List.copyOf(bridge.sink.calls);
        assertEquals("close 4000", calls.getLast());
        call(OnStopped.class, processor, runner);
        call(OnShutdown.class, processor, runner);
        assertEquals(calls, bridge.sink.calls);
    }

    /** Sessions of a terminated task roll back and say so. */
    @Test
    void sessionsThatSayThatTheirTaskIsTerminatedDoNotKeepTheOthersFromTheirQueue() {
        final PublishSnowpipeStreaming processor = new PublishSnowpipeStreaming(() -> bridge);
        final TestRunner runner = queued(processor);
        runner.run(0, false, true);
        processor.onTrigger(
                runner.getProcessContext(),
                () -> Sessions.after(runner.getProcessSessionFactory().createSession(), "rollback", args -> {
                    throw new TerminatedTaskException();
                }));
        assertEquals(2, bridge.sink.begun.size());
        discard(processor, runner);

        assertEquals(2, runner.getQueueSize().getObjectCount());
        assertTrue(bridge.sink.calls.contains("close 4000"));
    }

    @Test
    void aCredentialsServiceThatDoesNotAnswerHoldsNoRemoval() throws Exception {
        final ConsumeKinesis processor = new ConsumeKinesis(() -> bridge);
        final TestRunner runner = ConsumeKinesisTest.configured(processor);
        runner.setProperty(KinesisProperties.CONSUMER_TYPE, KinesisProperties.ENHANCED_FAN_OUT);
        final Silent service = new Silent();
        runner.addControllerService("service", service);
        runner.enableControllerService(service);
        runner.setProperty(ServiceCredentials.DESCRIPTOR.orElseThrow(), "service");
        assertTimeoutPreemptively(Duration.ofSeconds(20), () -> call(OnRemoved.class, processor, runner));

        assertEquals(List.of(), bridge.deregistered);
        final String told = runner.getLogger().getWarnMessages().getFirst().getMsg();
        assertTrue(told.contains("must be deregistered by hand"), told);
    }

    private TestRunner underWay(final PublishSnowpipeStreaming processor) {
        final TestRunner runner = queued(processor);
        runner.run(1, false, true);
        assertEquals(2, bridge.sink.begun.size());
        assertTrue(runner.isQueueEmpty());
        return runner;
    }

    private TestRunner queued(final PublishSnowpipeStreaming processor) {
        final TestRunner runner = PublishSnowpipeStreamingTest.configured(processor);
        bridge.sink.script = upload -> List.of(State.WAITING);
        Queues.enqueue(runner, ROWS, 2);
        return runner;
    }

    private static void discard(final Object processor, final TestRunner runner) {
        call(OnUnscheduled.class, processor, runner);
        call(OnRemoved.class, processor, runner);
    }

    private static void call(
            final Class<? extends Annotation> annotation, final Object processor, final TestRunner runner) {
        ReflectionUtils.quietlyInvokeMethodsWithAnnotation(annotation, processor, runner.getProcessContext());
    }

    /** Waits until it is interrupted. */
    private static final class Silent extends AbstractControllerService implements AwsCredentialsProviderService {

        @Override
        public AwsCredentialsProvider getAwsCredentialsProvider() {
            return () -> {
                try {
                    Thread.sleep(Duration.ofMinutes(5));
                } catch (final InterruptedException e) {
                    throw new IllegalStateException(e);
                }
                throw new AssertionError("nobody ended the wait");
            };
        }
    }
}
