/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import io.shardflow.nifi.bridge.ErrorCode;
import io.shardflow.nifi.bridge.KinesisSource;
import io.shardflow.nifi.bridge.NativeException;
import io.shardflow.nifi.bridge.PartHeader;
import java.io.IOException;
import java.io.OutputStream;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.nifi.flowfile.FlowFile;
import org.apache.nifi.logging.ComponentLog;
import org.apache.nifi.processor.ProcessSession;

/** Makes the FlowFiles of one batch, in one session with one commit, and tells the source how that went. */
final class Emission {

    private final KinesisSource source;
    private final Buffers buffers;
    private final ComponentLog log;

    Emission(final KinesisSource source, final Buffers buffers, final ComponentLog log) {
        this.source = source;
        this.buffers = buffers;
        this.log = log;
    }

    void emit(final List<PartHeader> parts, final ProcessSession session) {
        final Settlement settlement = new Settlement(source, parts.getFirst().batch(), log);
        try {
            write(parts, session);
            if (!source.mayCommit(parts.getFirst().batch())) {
                session.rollback();
                settlement.notCommitted();
                return;
            }
            session.commitAsync(settlement::committed, cause -> settlement.notCommitted());
        } catch (final RuntimeException | Error e) {
            try {
                session.rollback();
            } finally {
                settlement.notCommitted();
            }
            throw e;
        }
    }

    private void write(final List<PartHeader> parts, final ProcessSession session) {
        long consumed = 0;
        long failed = 0;
        final byte[] buffer = buffers.take();
        try {
            for (final PartHeader part : parts) {
                session.transfer(
                        create(part, session, buffer),
                        part.failed() ? ConsumeKinesis.PARSE_FAILURE : ConsumeKinesis.SUCCESS);
                consumed += part.records();
                failed += part.failed() ? part.records() : 0;
            }
        } finally {
            buffers.give(buffer);
        }
        session.adjustCounter(ConsumeKinesis.CONSUMED_COUNTER, consumed, false);
        if (failed > 0) {
            session.adjustCounter(ConsumeKinesis.FAILED_COUNTER, failed, false);
        }
    }

    private FlowFile create(final PartHeader part, final ProcessSession session, final byte[] buffer) {
        FlowFile flowFile = session.create();
        flowFile = session.write(flowFile, content -> copy(part, content, buffer));
        flowFile = session.putAllAttributes(flowFile, attributes(part));
        session.getProvenanceReporter().receive(flowFile, part.transitUri());
        return flowFile;
    }

    private void copy(final PartHeader part, final OutputStream content, final byte[] buffer) throws IOException {
        long position = 0;
        while (position < part.length()) {
            final int bytes = source.read(part, position, buffer, 0, buffer.length);
            if (bytes <= 0) {
                throw new NativeException(
                        ErrorCode.INTERNAL.code(),
                        "A part of %d bytes ended after %d".formatted(part.length(), position));
            }
            content.write(buffer, 0, bytes);
            position += bytes;
        }
    }

    private static Map<String, String> attributes(final PartHeader part) {
        final String[] pairs = part.attributes();
        final Map<String, String> attributes = HashMap.newHashMap(pairs.length / 2);
        for (int i = 0; i + 1 < pairs.length; i += 2) {
            attributes.put(pairs[i], pairs[i + 1]);
        }
        return attributes;
    }
}
