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
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class UploadsTest {

    private final AtomicLong clock = new AtomicLong();
    private final Uploads uploads = new Uploads(clock::get);

    @Test
    void theBoundIsLiftedOnlyWhileNothingMoves() {
        for (int id = 1; id <= Uploads.USUAL_LIMIT; id++) {
            uploads.add(new Upload(id, null, null));
        }
        assertEquals(0, uploads.room());

        clock.addAndGet(Uploads.STALL_NANOS + 1);
        assertEquals(Uploads.STALLED_LIMIT - Uploads.USUAL_LIMIT, uploads.room());

        uploads.moved();
        assertEquals(0, uploads.room());
        uploads.remove(uploads.all().iterator().next());
        assertEquals(1, uploads.room());
    }

    @Test
    void anUploadHasOneThreadAtATimeAndNoneAfterItsEnd() {
        final Upload upload = new Upload(1, null, null);
        uploads.add(upload);
        assertTrue(upload.claim());
        assertFalse(upload.claim());
        upload.unclaim();
        assertTrue(upload.claim());
        uploads.remove(upload);
        upload.unclaim();
        assertFalse(upload.claim());
        assertTrue(uploads.isEmpty());
    }

    @Test
    void whatMovesBeforeItIsAddedIsNotForgotten() {
        assertEquals(List.of(), uploads.of(List.of(7L)));
        final Upload upload = new Upload(7, null, null);
        uploads.add(upload);
        assertEquals(List.of(upload), uploads.again());
        assertEquals(List.of(), uploads.again());
        assertEquals(List.of(upload), uploads.of(List.of(7L, 8L)));
    }

    @Test
    void whatWasMissedIsLookedAtOnceMoreAndAllAtTimes() {
        final Upload busy = new Upload(1, null, null);
        final Upload other = new Upload(2, null, null);
        uploads.add(busy);
        uploads.add(other);
        uploads.later(busy);
        assertEquals(List.of(busy), uploads.again());
        assertEquals(List.of(), uploads.again());

        clock.addAndGet(Uploads.ROUND_NANOS + 1);
        assertEquals(List.of(busy, other), uploads.again());
        assertEquals(List.of(), uploads.again());
    }
}
