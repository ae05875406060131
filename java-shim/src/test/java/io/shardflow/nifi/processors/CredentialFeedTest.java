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
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.shardflow.nifi.bridge.AwsKeys;
import io.shardflow.nifi.bridge.ErrorCode;
import io.shardflow.nifi.bridge.NativeException;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.apache.nifi.controller.AbstractControllerService;
import org.apache.nifi.processors.aws.credentials.provider.AwsCredentialsProviderService;
import org.apache.nifi.reporting.InitializationException;
import org.apache.nifi.util.TestRunner;
import org.apache.nifi.util.TestRunners;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;

class CredentialFeedTest {

    private static final Instant NOW = Instant.parse("2026-01-31T12:00:00Z");

    private final FakeBridge bridge = new FakeBridge();
    private TestRunner runner;

    @BeforeEach
    void createRunner() {
        runner = TestRunners.newTestRunner(new ConsumeKinesis(() -> bridge));
        runner.setProperty(KinesisProperties.STREAM_NAME, "orders");
        runner.setProperty(KinesisProperties.APPLICATION_NAME, "app");
        runner.setProperty(KinesisProperties.REGION, "us-west-2");
    }

    @Test
    void theServiceIsAskedSeveralTimesInTheLifeOfAToken() {
        assertEquals(Duration.ofSeconds(15), CredentialFeed.pause(NOW.plusSeconds(60), NOW));
        assertEquals(CredentialFeed.LONGEST, CredentialFeed.pause(NOW.plusSeconds(3_600), NOW));
        assertEquals(CredentialFeed.LONGEST, CredentialFeed.pause(null, NOW));
        assertEquals(CredentialFeed.SHORTEST, CredentialFeed.pause(NOW.minusSeconds(5), NOW));
    }

    @Test
    void freshCredentialsArriveWhileTheProcessorIsNotTriggered() throws Exception {
        useService(new Rotating(Duration.ofSeconds(2)));
        runner.run(0, false, true);

        for (int turn = 0; turn < 3; turn++) {
            final AwsKeys keys = bridge.source.given.poll(10, TimeUnit.SECONDS);
            assertNotNull(keys, "no credentials");
            assertEquals("ASIA" + turn, keys.accessKeyId());
            assertEquals("token", keys.sessionToken());
            assertFalse(keys.toString().contains("hidden"));
        }
        runner.stop();
        runner.run(0, true, false);
        assertTrue(hasEnded(), "the thread outlives the processor");
        assertEquals("service", bridge.configurations.getFirst().get("AWS Credentials Provider Service"));
        assertFalse(bridge.configurations.getFirst().containsKey("AWS Access Key ID"), "it would block the start");
    }

    @Test
    void aServiceThatFailsIsToldAndAskedAgain() throws Exception {
        final Supplier<AwsKeys> service = new Supplier<>() {
            private int calls;

            @Override
            public AwsKeys get() {
                calls++;
                if (calls == 1) {
                    throw new IllegalStateException("the token file is gone");
                }
                return new AwsKeys("AKIA", "hidden", null, null);
            }
        };
        try (CredentialFeed feed = CredentialFeed.start(service, bridge.source, runner.getLogger())) {
            assertNotNull(feed);
            assertEquals("the token file is gone", bridge.source.refusals.poll(10, TimeUnit.SECONDS));
            final AwsKeys keys = bridge.source.given.poll(10, TimeUnit.SECONDS);
            assertNotNull(keys);
            assertEquals("AKIA", keys.accessKeyId());
        }
    }

    @Test
    void credentialsThatCannotBeUsedAreTold() throws Exception {
        bridge.source.credentialsFailure = new NativeException(ErrorCode.CONFIG.code(), "credentials lack a secret");
        final Supplier<AwsKeys> service = () -> new AwsKeys("AKIA", null, null, null);
        try (CredentialFeed feed = CredentialFeed.start(service, bridge.source, runner.getLogger())) {
            assertNotNull(feed);
            assertEquals("credentials lack a secret", bridge.source.refusals.poll(10, TimeUnit.SECONDS));
        }
    }

    @Test
    void aSourceThatIsClosedIsToldNothing() throws Exception {
        bridge.source.credentialsFailure = new NativeException(ErrorCode.CLOSED.code(), "source 7 is not open");
        final Supplier<AwsKeys> service = () -> new AwsKeys("AKIA", "hidden", null, null);
        try (CredentialFeed feed = CredentialFeed.start(service, bridge.source, runner.getLogger())) {
            assertNotNull(feed);
            assertNotNull(bridge.source.given.poll(10, TimeUnit.SECONDS), "it is asked again");
            assertTrue(bridge.source.refusals.isEmpty());
        }
    }

    @Test
    void verifyingAsksTheServiceFirst() throws Exception {
        useService(new Rotating(Duration.ofSeconds(60)));
        ((ConsumeKinesis) runner.getProcessor())
                .verify(runner.getProcessContext(), runner.getLogger(), java.util.Map.of());
        final var config = bridge.configurations.getLast();
        assertEquals("ASIA0", config.get("AWS Access Key ID"));
        assertEquals("token", config.get("AWS Session Token"));
        assertTrue(Long.parseLong(config.get("AWS Credentials Expiry")) > System.currentTimeMillis());
    }

    @Test
    void keysAndAServiceExcludeOneAnother() throws Exception {
        useService(new Rotating(Duration.ofSeconds(60)));
        runner.assertValid();
        runner.setProperty(KinesisProperties.ACCESS_KEY_ID, "AKIA");
        runner.setProperty(KinesisProperties.SECRET_ACCESS_KEY, "hidden");
        runner.assertNotValid();
        runner.removeProperty(ServiceCredentials.DESCRIPTOR.orElseThrow());
        runner.assertValid();
        runner.setProperty(KinesisProperties.SESSION_TOKEN, "token");
        runner.assertValid();
        runner.removeProperty(KinesisProperties.ACCESS_KEY_ID);
        runner.removeProperty(KinesisProperties.SECRET_ACCESS_KEY);
        runner.assertNotValid();
    }

    private void useService(final Rotating service) throws InitializationException {
        runner.addControllerService("service", service);
        runner.enableControllerService(service);
        runner.setProperty(ServiceCredentials.DESCRIPTOR.orElseThrow(), "service");
    }

    private static boolean hasEnded() throws InterruptedException {
        final Instant deadline = Instant.now().plusSeconds(10);
        while (Thread.getAllStackTraces().keySet().stream()
                .anyMatch(thread -> thread.getName().equals("shardflow-credentials"))) {
            if (Instant.now().isAfter(deadline)) {
                return false;
            }
            Thread.sleep(20);
        }
        return true;
    }

    /** A new token each time it is asked. */
    private static final class Rotating extends AbstractControllerService implements AwsCredentialsProviderService {

        private final AtomicInteger turns = new AtomicInteger();
        private final Duration life;

        Rotating(final Duration life) {
            this.life = life;
        }

        @Override
        public AwsCredentialsProvider getAwsCredentialsProvider() {
            return () -> AwsSessionCredentials.builder()
                    .accessKeyId("ASIA" + turns.getAndIncrement())
                    .secretAccessKey("hidden")
                    .sessionToken("token")
                    .expirationTime(Instant.now().plus(life))
                    .build();
        }
    }
}
